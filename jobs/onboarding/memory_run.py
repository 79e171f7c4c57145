"""A run of a job whose tables are in memory: the job is the real one, and no warehouse is written.

Small tables, which are written without Spark, go to a warehouse that the caller throws away.
"""

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.runtime.job import Job
from jobs.runtime.project import Project
from jobs.runtime.run import Run
from jobs.tables.checks import as_declared
from jobs.tables.store import Commit, dates_where

if TYPE_CHECKING:
    from quality.verdicts import Verdict


class Tables(dict[str, DataFrame]):
    """Rows of tables by name; those of one project that runs in memory."""


class MemoryRun(Run):
    """A run that reads and commits DataFrames.

    Suites are run where a job asks for it, as `ingest` does, which quarantines by their verdicts; what is
    committed is not judged, since a test says itself which rows it expects.

    Args:
        job: the declaration.
        project: its data dates, configuration and files; its warehouse takes small tables.
        tables: rows of the large ones.
    """

    def __init__(self, job: Job, project: Project, tables: Tables) -> None:
        super().__init__(job, project)
        self._tables = tables

    def read(self, table: str, first: date | None = None, last: date | None = None) -> DataFrame:
        """Return some data dates of a table, or all of one that belongs to none."""
        declared = self.catalog[table]
        if not declared.is_large:
            return super().read(table, first, last)
        self._declared.require_dates(declared, first, last)
        frame = self._rows_of(table)
        return frame if first is None else frame.where(dates_where(first, last or first))

    def data_dates(self, table: str) -> list[date]:
        """Return the data dates that a table has rows of, in order."""
        if not self.catalog[table].is_large:
            return super().data_dates(table)
        self._declared.require_table(table)
        return sorted(row[0] for row in self._rows_of(table).select("data_date").distinct().collect())

    def is_made_of(self, table: str, made_of: str) -> bool:
        """Return False: nothing was made before."""
        return False

    def content_of(self, table: str) -> tuple[str, bool]:
        """Return that it is made of nothing: all snapshots and changes are new."""
        return "", False

    def record_verdicts(self, table: str, verdicts: "Mapping[date, Verdict]") -> None:
        """Record nothing."""

    def commit(
        self,
        table: str,
        frame: DataFrame,
        *,
        training_set: str | None = None,
        made_of: str | None = None,
        is_judged: bool = False,
    ) -> Commit:
        """Replace our data dates, or with `made_of` all rows, by those of the frame; 0 rows are counted.

        Raises:
            LamplighterError: the frame is not what the catalog declares.
        """
        self._declared.require_written(table)
        made = self.compute(as_declared(frame, self.catalog[table]))
        if made_of is None and table in self._tables:
            is_ours = F.expr(dates_where(self.first, self.data_date))
            made = self._tables[table].where(~is_ours).unionByName(made)
        self._tables[table] = made
        return Commit(table, 0, 0)

    def merge(self, table: str, frame: DataFrame, made_of: str) -> None:
        """Make the rows of a whole table those of a frame."""
        self.commit(table, frame, made_of=made_of)

    def _rows_of(self, table: str) -> DataFrame:
        if table in self._tables:
            return self._tables[table]
        return self.spark.createDataFrame([], self.catalog[table].schema)
