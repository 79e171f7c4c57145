"""A trial run: a job computes its tables again and compares them with what is stored; nothing is written."""

import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.runtime.job import Job
from jobs.runtime.models import TrialFolders
from jobs.runtime.project import Project
from jobs.runtime.run import Run
from jobs.tables.compare import Difference, difference
from jobs.tables.store import Commit, dates_where
from quality.verdicts import Verdict

NOTHING: Mapping[str, DataFrame] = MappingProxyType({})


class TrialRun(Run):
    """A run whose commits are comparisons, and which reads what it has made in place of what is stored.

    Attributes:
        differences: what was made otherwise than it is stored.
        compared: tables that were compared.
        made: table -> rows that were made for it.
    """

    def __init__(self, job: Job, project: Project, made: Mapping[str, DataFrame] = NOTHING) -> None:
        super().__init__(job, project)
        self.made = dict(made)
        self.differences: list[Difference] = []
        self.compared: set[str] = set()
        self._folder = tempfile.TemporaryDirectory(prefix="lamplighter-trial-")
        self.models = TrialFolders(project.store, Path(self._folder.name))

    def read(self, table: str, first: date | None = None, last: date | None = None) -> DataFrame:
        """Return rows as a run does; those of its own data dates as it has made them."""
        stored = super().read(table, first, last)
        if table not in self.made:
            return stored
        if first is None:
            return self.made[table]
        made = self.made[table].where(dates_where(first, last or first))
        others = stored.where(~F.col("data_date").between(self.first, self.data_date))
        return made.unionByName(others, allowMissingColumns=True)

    def merge(self, table: str, frame: DataFrame, made_of: str) -> None:
        """Compare all rows of a table."""
        self._declared.require_written(table)
        self._compare(table, self.compute(frame), "true")

    def append_rows(self, table: str, rows: Sequence[Mapping[str, Any]]) -> Commit:
        """Compare rows with stored ones of the same keys."""
        self._declared.require_written(table)
        frame = self._to_frame(table, rows)
        keys = frame.select(*self._project.catalog[table].grain)
        stored = self._project.store.read(self.spark, table).join(keys, on=keys.columns, how="left_semi")
        return self._compare(table, frame, None, stored)

    def append_new_rows(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Compare all rows: a trial computes what is there already."""
        self.append_rows(table, rows)

    def is_written(self, table: str, **key: Any) -> bool:
        """Return False: a trial computes what is there already."""
        return False

    def is_made_of(self, table: str, made_of: str) -> bool:
        """Return False: as `is_written`."""
        return False

    def record_verdicts(self, table: str, verdicts: Mapping[date, Verdict]) -> None:
        """Record nothing."""

    def _replace(
        self, table: str, frame: DataFrame, where: str, rows: int, metadata: Mapping[str, Any]
    ) -> Commit:
        return self._compare(table, frame, where)

    def _replace_rows(
        self, table: str, rows: Sequence[Mapping[str, Any]], where: str, partitions: Sequence[str]
    ) -> Commit:
        return self._compare(table, self._to_frame(table, rows), where.replace('"', "`"))

    def _to_frame(self, table: str, rows: Sequence[Mapping[str, Any]]) -> DataFrame:
        declared = self._project.catalog[table]
        values = [tuple(row.get(name) for name in declared.columns) for row in rows]
        return self.spark.createDataFrame(values, declared.schema)

    def _compare(
        self, table: str, made: DataFrame, where: str | None, stored: DataFrame | None = None
    ) -> Commit:
        declared = self._project.catalog[table]
        if stored is None:
            stored = self._project.store.read(self.spark, table).where(str(where))
        if (found := difference(stored, made, declared)) is not None:
            self.differences.append(found)
        self.compared.add(table)
        self.made[table] = made
        return Commit(table, self._project.store.version(table) or 0, 0)
