"""What a job may read: the partitions that its declaration names, for the data dates of one run."""

from collections.abc import Collection, Sequence
from datetime import date

from core.errors import LamplighterError
from core.schema import Config
from core.training_days import date_range
from jobs.runtime.arguments import span_of
from jobs.runtime.job import Job
from jobs.runtime.reads import Read, SourcePart
from jobs.tables.table import Table

SHARED_TABLES = frozenset({"quality_results", "runs", "recipes"})
"""Tables that every run appends to; no job declares them."""


class DeclaredInputs:
    """Decides for one run what may be read; anything else is a fault of the declaration.

    Args:
        job: the declaration.
        config: the whole configuration.
        dates: data dates of the run.
    """

    def __init__(self, job: Job, config: Config, dates: Sequence[date]) -> None:
        self._job = job
        self._config = config
        self._dates = dates
        self._written = frozenset(job.tables(config))

    def require_written(self, table: str) -> None:
        """Refuse to write a table that the job does not declare to write."""
        if table not in self._written:
            raise self._undeclared("writes", table, table)

    def require_table(self, table: str) -> None:
        """Refuse to read a table that the job declares neither to read nor to write."""
        if table not in self._written | SHARED_TABLES and not self._reads_of(table):
            raise self._undeclared("reads", table, table)

    def require_dates(self, table: Table, first: date | None, last: date | None) -> None:
        """Refuse data dates of a table that the job does not declare to read.

        Of a table that belongs to no data date everything may be read; of what the run itself writes, its
        own data dates.
        """
        self.require_table(table.name)
        if table.date_column is None:
            return
        if first is None:
            raise self._undeclared("reads", table.name, f"{table.name} whatever the data date")
        allowed = self._dates_of(table.name)
        is_history = any(read.kind == "earlier" for read in self._reads_of(table.name))
        surplus = [
            each
            for each in date_range(first, last or first)
            if each not in allowed and not (is_history and each < self._dates[0])
        ]
        if surplus:
            raise self._undeclared("reads", table.name, f"{table.name} of {span_of(surplus[0], surplus[-1])}")

    def require_source(self, part: SourcePart) -> None:
        """Refuse a part of the source that the job does not declare to read."""
        if not any(read.kind == "source" and read.table == part for read in self._job.reads):
            raise self._undeclared("reads", part, f"source files ({part})")

    def require_champion(self) -> None:
        """Refuse to look up the champion for a job that does not declare that."""
        if not any(read.kind == "champion" for read in self._job.reads):
            raise self._undeclared("reads", "promotions", "the champion")

    def require_flag(self, flag: str) -> None:
        """Refuse a flag of the command line that the job does not declare."""
        if flag not in self._job.flags:
            raise self._undeclared("flags", flag, f"the flag {flag}")

    def _reads_of(self, table: str) -> list[Read]:
        return [read for read in self._job.reads if table in read.names(self._config)]

    def _dates_of(self, table: str) -> Collection[date]:
        own = self._dates if table in self._written | SHARED_TABLES else ()
        read = {
            each
            for declared in self._reads_of(table)
            for data_date in self._dates
            for each in declared.dates(self._config, data_date)
        }
        return read.union(own)

    def _undeclared(self, keyword: str, name: str, what: str) -> LamplighterError:
        file = f"{self._job.module.replace('.', '/')}.py"
        return LamplighterError(
            f"{self._job.name} uses {what}, which it does not declare; add {name} to `{keyword}=` in {file}"
        )
