"""One job at work: it reads, checks and commits through its run, so that nothing goes unrecorded."""

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame, SparkSession

from core.declared_config import declared_part
from core.errors import LamplighterError
from core.schema import Config
from jobs.runtime import checks
from jobs.runtime.arguments import span_of
from jobs.runtime.job import Job
from jobs.runtime.project import Project
from jobs.runtime.record import RunRecord
from jobs.tables.registry import register
from jobs.tables.store import Commit, check_rows, dates_where

if TYPE_CHECKING:
    from quality.verdicts import Verdict

log = logging.getLogger("lamplighter")

SHARED_TABLES = frozenset({"quality_results", "runs", "recipes"})
"""Tables that every run appends to; no job declares them."""


class Run:
    """One run of one job for its data dates.

    Attributes:
        project: what the run belongs to.
        job: the declaration.
        dates: its data dates, in order.
        config: the declared part of the configuration; reading another key raises.
        record: what is recorded of the run.
    """

    def __init__(self, job: Job, project: Project) -> None:
        self.project = project
        self.job = job
        self.dates = project.dates
        keys = [*job.config, *(f"suites.{table}" for table in job.writes), "dataset"]
        self.config: Config = declared_part(project.config, keys)
        self.record = RunRecord(job, project)

    @property
    def first(self) -> date:
        """First data date."""
        return self.dates[0]

    @property
    def data_date(self) -> date:
        """The data date; of a range, the last one."""
        return self.dates[-1]

    @property
    def span(self) -> str:
        """The data dates as `--data-date` takes them."""
        return span_of(self.first, self.data_date)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the (last) data date."""
        return self.record.newest.fingerprint

    @cached_property
    def spark(self) -> SparkSession:
        """The session; made at the first use, so that jobs without Spark start none."""
        return self.project.spark

    # --- read ----------------------------------------------------------------------------------

    def read(self, table: str, first: date | None = None, last: date | None = None) -> DataFrame:
        """Return a table at its newest version, which is pinned and recorded; or some of its data dates.

        Raises:
            LamplighterError: the job does not declare to read it.
        """
        version = self._version(table)
        frame = self.project.store.read(self.spark, table, version)
        return frame if first is None else frame.where(dates_where(first, last or first))

    def rows(self, table: str, predicate: str | None = None) -> list[dict[str, Any]]:
        """Return rows of a small table, read without Spark.

        Raises:
            LamplighterError: the job does not declare to read it.
        """
        self.record.versions_read.pop(table, None)  # a job may read what it has just written
        self._version(table)
        return self.project.store.rows(table, predicate)

    def files(self, table: str, predicate: str) -> list[str]:
        """Return `file://` and the path of a table's data files that meet a predicate over partition columns.

        Raises:
            LamplighterError: the job does not declare to read it.
        """
        version = self._version(table)
        return [f"file://{file}" for file in self.project.store.files(table, predicate, version)]

    def compute(self, frame: DataFrame) -> DataFrame:
        """Compute a result once: what is checked is what is committed.

        A local checkpoint rather than persist(): the result forgets the plan that made it, which Spark
        would otherwise analyse again for every rule and every write. Freed with the frame.
        """
        return frame.localCheckpoint(eager=True)

    # --- check and write -----------------------------------------------------------------------

    def commit(
        self,
        table: str,
        frame: DataFrame,
        *,
        where: str | None = None,
        made_of: str | None = None,
        partition: str | None = None,
        is_judged: bool = False,
    ) -> Commit:
        """Compute rows once, check them, and replace our data dates (or `where`) by them in one commit.

        Checked are the suite of the table, where it has one, then its grain and constraints.

        Args:
            table: name of a table that the job declares to write.
            frame: the rows, in the declared columns.
            where: SQL predicate that all rows meet; None: our data dates. "true": the whole table.
            made_of: what the whole table is made of, for `is_made_of`.
            partition: name of the partition that is replaced, where it is not our data dates.
            is_judged: whether the job has run the suite itself, over rows that it has computed.

        Raises:
            BlockedError: the suite does not pass; the table is unchanged.
            LamplighterError: a key is null or stands twice, or a constraint does not hold.
        """
        self._require_written(table)
        declared = self.project.catalog[table]
        if not is_judged:
            frame = self.compute(frame)
            if declared.has_suite:
                checks.require_passed(self.judge(frame, table))
        started = time.monotonic()
        rows = check_rows(frame, declared)
        checked = time.monotonic()
        commit = self._replace(table, frame, where or dates_where(self.first, self.data_date), rows,
                               self.record.metadata(table, made_of, partition))  # fmt: skip
        seconds = (checked - started, time.monotonic() - checked)
        log.debug("%s: checked in %.1f s, written in %.1f s", table, *seconds)
        return commit

    def commit_rows(self, table: str, rows: Sequence[Mapping[str, Any]], where: str) -> Commit:
        """Replace the rows of a small table that meet a predicate, without Spark."""
        self._require_written(table)
        metadata = self.record.metadata(table, None, None)
        return self.record.add(
            self.project.store.replace_rows(table, rows, self.record.owner, metadata, where)
        )

    def append_rows(self, table: str, rows: Sequence[Mapping[str, Any]]) -> Commit:
        """Append rows to a small table, without Spark."""
        self._require_written(table)
        metadata = self.record.metadata(table, None, None)
        return self.record.add(self.project.store.append_rows(table, rows, self.record.owner, metadata))

    def is_written(self, table: str, **key: Any) -> bool:
        """Return whether a small table has a row with this key already."""
        return any(all(row[name] == value for name, value in key.items()) for row in self.rows(table))

    def is_whole(self, table: str, predicate: str | None = None) -> bool:
        """Return whether a table, or a part of it, has files and none is lost; see `Store.is_whole`.

        Raises:
            LamplighterError: the job does not declare to read or to write it.
        """
        self._version(table)
        return self.project.store.is_whole(table, predicate)

    def is_made_of(self, table: str, made_of: str) -> bool:
        """Return whether the newest commit of a whole table was made of the same, with the same recipe.

        A table that has lost a file is made of nothing.
        """
        recorded = self.project.store.newest_metadata(table).get("made_of")
        return recorded == self.record.made_of(made_of) and self.is_whole(table)

    def bundle_folder(self, model_version: str) -> Path:
        """Return the folder of a model bundle that this run leaves."""
        return self.project.catalog.bundle(model_version)

    def register_model(self, bundle: Path, tags: dict[str, str], metrics: dict[str, float]) -> None:
        """Mirror a bundle in the model registry, for people."""
        register(self.project.store, bundle, tags, metrics)

    def judge(self, frame: DataFrame, table: str) -> "dict[date, Verdict]":
        """Run a table's suite over rows, and record the verdict on each data date."""
        started = time.monotonic()
        verdicts = checks.judge(frame, table, self.config, self.data_date)
        log.debug("%s: suite run in %.1f s", table, time.monotonic() - started)
        self.record_verdicts(table, verdicts)
        return verdicts

    def record_verdicts(self, table: str, verdicts: "Mapping[date, Verdict]") -> None:
        """Write verdicts to `quality_results`, in place of those of earlier runs on the same data dates."""
        rows = [
            row
            for day, verdict in verdicts.items()
            for row in checks.to_rows(verdict, self.record.run_id, day)
        ]
        dates = ", ".join(f"'{day}'" for day in verdicts)
        predicate = f"data_date IN ({dates}) AND \"table\" = '{table}'"
        metadata = {"run_id": self.record.run_id, "job": self.job.name}
        self.project.store.replace_rows("quality_results", rows, self.record.owner, metadata, predicate)

    def note(self, text: str) -> None:
        """Add to the line that people read of this run."""
        self.record.notes.append(text)

    # --- inside --------------------------------------------------------------------------------

    def _replace(
        self, table: str, frame: DataFrame, where: str, rows: int, metadata: Mapping[str, Any]
    ) -> Commit:
        return self.record.add(self.project.store.replace(table, frame, where, metadata, rows))

    def _version(self, table: str) -> int | None:
        """Return the version of a table that this run reads, pinned at its first read."""
        declared = {name for read in self.job.reads for name in read.names(self.project.config)}
        if table not in declared | set(self.job.writes) | SHARED_TABLES:
            raise self._undeclared("reads", table)
        pinned = self.record.versions_read
        version = pinned.get(table, self.project.store.version(table))
        if version is not None:
            pinned[table] = version
        return version

    def _require_written(self, table: str) -> None:
        if table not in self.job.writes:
            raise self._undeclared("writes", table)

    def _undeclared(self, what: str, table: str) -> LamplighterError:
        file = f"{self.job.module.replace('.', '/')}.py"
        return LamplighterError(
            f"{self.job.name} {what} {table}, which it does not declare; add it to `{what}=` in {file}"
        )
