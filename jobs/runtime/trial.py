"""A trial run: a job computes its tables again and compares them with what is stored; nothing is written."""

import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame

from jobs.runtime.job import Job
from jobs.runtime.models import TrialFolders
from jobs.runtime.project import Project
from jobs.runtime.run import Run
from jobs.tables.compare import Difference, difference
from jobs.tables.store import Commit
from quality.verdicts import Verdict


class TrialRun(Run):
    """A run whose commits are comparisons.

    Attributes:
        differences: what was made otherwise than it is stored.
        compared: tables that were compared.
    """

    def __init__(self, job: Job, project: Project) -> None:
        super().__init__(job, project)
        self.differences: list[Difference] = []
        self.compared: set[str] = set()
        self._folder = tempfile.TemporaryDirectory(prefix="lamplighter-trial-")
        self.models = TrialFolders(project.store, Path(self._folder.name))

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
        return Commit(table, self._project.store.version(table) or 0, 0)
