"""One job at work: it reads, checks and commits through its run, so that nothing goes unrecorded."""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame, SparkSession

from core.declared_config import declared_part
from core.errors import LamplighterError
from core.paths import uri_of
from core.schema import Config
from jobs.runtime import checks
from jobs.runtime.arguments import span_of
from jobs.runtime.buckets import bucket_where, committed_buckets
from jobs.runtime.declared import DeclaredInputs
from jobs.runtime.job import Job
from jobs.runtime.lacking import Lacking, lacking_aggregates, require_filled_in
from jobs.runtime.models import ModelFolders
from jobs.runtime.project import Project
from jobs.runtime.reads import SourcePart
from jobs.runtime.record import WHOLE_TABLE, RunRecord
from jobs.tables.ledger import NewestRun, RunKey
from jobs.tables.partitions import few_files, fit_partitions
from jobs.tables.since import columns_since
from jobs.tables.sources import Sources
from jobs.tables.store import Commit, check_rows, dates_where, key_where

if TYPE_CHECKING:
    from quality.verdicts import Verdict

log = logging.getLogger("lamplighter")


class Run:
    """One run of one job for its data dates.

    What the job does not declare it cannot read, write or see: each method raises `LamplighterError`, which
    names the declaration to change.

    Attributes:
        job: the declaration.
        dates: its data dates, in order.
        config: the declared part of the configuration; reading another key raises.
        catalog: declarations of the tables.
        record: what is recorded of the run.
        models: where it leaves model bundles.
    """

    def __init__(self, job: Job, project: Project) -> None:
        self._project = project
        self._declared = DeclaredInputs(job, project.config, project.dates)
        self.job = job
        self.dates = project.dates
        keys = [*job.config, *(f"suites.{table}" for table in job.tables(project.config)), "dataset"]
        self.config: Config = declared_part(project.config, keys)
        self.catalog = project.catalog
        self.record = RunRecord(job, project)
        self.models = ModelFolders(project.store)

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

    @property
    def folder(self) -> Path:
        """The project's folder."""
        return self._project.folder

    @cached_property
    def spark(self) -> SparkSession:
        """The session; made at the first use, so that jobs without Spark start none."""
        return self._project.spark

    @property
    def allow_empty(self) -> bool:
        """Whether data dates without events are accepted: the flag `--allow-empty`."""
        self._declared.require_flag("allow_empty")
        return self._project.arguments.allow_empty

    # --- read ----------------------------------------------------------------------------------

    def read(self, table: str, first: date | None = None, last: date | None = None) -> DataFrame:
        """Return some data dates of a table, or all of one that belongs to none.

        The version is pinned at the first read, and recorded.

        Args:
            table: its name.
            first: first data date.
            last: last data date, included; None: `first` alone.
        """
        self._declared.require_dates(self.catalog[table], first, last)
        frame = self._project.store.read(self.spark, table, self._version(table))
        return frame if first is None else frame.where(dates_where(first, last or first))

    def rows(self, table: str, **key: Any) -> list[dict[str, Any]]:
        """Return rows of a small table at its newest version, read without Spark.

        Args:
            table: its name.
            key: column=value that rows have; the date column is one of them where the table has one.
        """
        day = key.get(self.catalog[table].date_column or "")
        self._declared.require_dates(self.catalog[table], day, day)
        self.record.versions_read.pop(table, None)  # a job may read what it has just written
        self._version(table)
        return self._project.store.rows_of(table, key)

    def row(self, table: str, **key: Any) -> dict[str, Any]:
        """Return the one row of a small table that has a key; arguments as of `rows`.

        Raises:
            LamplighterError: there is none, or there are several.
        """
        rows = self.rows(table, **key)
        if len(rows) != 1:
            named = ", ".join(f"{column} {value}" for column, value in key.items())
            raise LamplighterError(
                f"{table}: {len(rows)} rows of {named}, expected one; run the job that writes it again"
            )
        return rows[0]

    def files(self, table: str, **key: Any) -> list[str]:
        """Return the URIs of the data files of some partitions, at the version that is read.

        Of a local file `file://` and its path as it is, without percent signs: Petastorm's spelling.
        """
        self._declared.require_table(table)
        files = self._project.store.files(table, key_where(key), self._version(table))
        return [f"file://{file}" if isinstance(file, Path) else uri_of(file) for file in files]

    def data_dates(self, table: str) -> list[date]:
        """Return the data dates that a table has rows of, in order."""
        self._declared.require_table(table)
        return self._project.store.data_dates(table)

    def exists(self, table: str) -> bool:
        """Return whether a table was ever written, with rows or without."""
        self._declared.require_table(table)
        return self._project.store.version(table) is not None

    def columns_since(self, table: str) -> dict[str, date]:
        """Return column -> the first data date from which on every one of a table has it."""
        self._declared.require_table(table)
        return columns_since(self._project.store, table)

    def lacking_aggregates(self, group: str, dates: Sequence[date]) -> Lacking:
        """Return the data dates whose tiles and state lack aggregates of a group, and which ones."""
        return lacking_aggregates(self._project, self.record.lineage, group, dates)

    def require_filled_in(
        self, table: str, columns: Collection[str], dates: Sequence[date], reader: str
    ) -> None:
        """Stop where rows of a table were written before a column was declared; see the function."""
        require_filled_in(self._project.store, table, columns, dates, reader)

    def sources(self, part: SourcePart) -> Sources:
        """Return the source files of the data set, of which the job reads one part."""
        self._declared.require_source(part)
        if part == "log":  # found through the manifest, with what people have re-admitted
            self._declared.require_table("source_files")
            self._declared.require_table("readmissions")
        return self._project.sources

    def champion(self) -> str | None:
        """Return the model version that serves, as the fingerprint has it; None: no model does.

        For a job that judges a candidate: the version that it has to beat.
        """
        self._declared.require_champion()
        return self.record.lineage.champion_of(self.job, self.data_date).version

    def fingerprint_of(self, table: str) -> str:
        """Return the fingerprint of the data date's partition of a table that the job reads."""
        self._declared.require_table(table)
        return self.record.lineage.fingerprint_of_table(table, self.data_date)

    def newest_runs(self) -> dict[RunKey, NewestRun]:
        """Return the newest run of each job for the data date, for people."""
        found = self._project.newest_runs([self.data_date])
        return {key: run for key, run in found.items() if key.data_date == self.data_date}

    def report_uri(self, page: str) -> str:
        """Return where a page of the report is."""
        return self._project.report_uri(page)

    def is_written(self, table: str, **key: Any) -> bool:
        """Return whether a small table has a row with this key already."""
        return bool(self.rows(table, **key))

    def is_whole(self, table: str, **key: Any) -> bool:
        """Return whether a table, or some partitions of it, has files and none is lost."""
        self._declared.require_table(table)
        return self._project.store.is_whole(table, key_where(key))

    def is_made_of(self, table: str, made_of: str) -> bool:
        """Return whether the newest commit of a whole table was made of the same, with the same recipe.

        A table that has lost a file is made of nothing.
        """
        recorded = self._project.store.newest_metadata(table).get("made_of")
        return recorded == self.record.made_of(made_of) and self.is_whole(table)

    def committed_buckets(self, table: str, count: int) -> set[int]:
        """Return the buckets of the data date that an earlier run with our fingerprint has committed."""
        self._declared.require_written(table)
        return committed_buckets(self._project.store, table, self.data_date, self.fingerprint, count)

    def content_of(self, table: str) -> tuple[str, bool]:
        """Return what a whole table is made of, and whether with the recipe of this run; "": of nothing."""
        if not self.is_whole(table):
            return "", False
        recorded = str(self._project.store.newest_metadata(table).get("made_of", ""))
        content = recorded.rpartition(":")[2]
        return content, recorded == self.record.made_of(content)

    # --- check and write -----------------------------------------------------------------------

    def compute(self, frame: DataFrame) -> DataFrame:
        """Compute a result once: what is checked is what is committed.

        A local checkpoint rather than persist(): the result forgets the plan that made it, which Spark
        would otherwise analyse again for every rule and every write. Freed with the frame.
        """
        fit_partitions(frame)
        return frame.localCheckpoint(eager=True)

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
            for data_date, verdict in verdicts.items()
            for row in checks.to_rows(verdict, self.record.run_id, data_date)
        ]
        where = key_where({"data_date": list(verdicts), "table": table})
        metadata = self.record.metadata("quality_results", list(map(str, verdicts)))
        self._project.store.replace_rows("quality_results", rows, self.record.owner, metadata, where)

    def commit(
        self,
        table: str,
        frame: DataFrame,
        *,
        training_set: str | None = None,
        made_of: str | None = None,
        is_judged: bool = False,
    ) -> Commit:
        """Compute rows once, check them, and replace our data dates by them in one commit.

        Checked are the suite of the table, where it has one, then its grain and constraints.

        Args:
            table: name of a table that the job declares to write.
            frame: the rows, in the declared columns.
            training_set: replace the rows of this training set instead.
            made_of: replace the whole table instead; what it is made of, for `is_made_of`.
            is_judged: whether the job has run the suite itself, over rows that it has computed.

        Raises:
            BlockedError: the suite does not pass; the table is unchanged.
            LamplighterError: a key is null or stands twice, or a constraint does not hold.
        """
        self._declared.require_written(table)
        declared = self.catalog[table]
        if not is_judged:
            frame = self.compute(frame)
            if declared.has_suite:
                checks.require_passed(self.judge(frame, table))
        started = time.monotonic()
        rows = check_rows(frame, declared)
        checked = time.monotonic()
        where, partitions = dates_where(self.first, self.data_date), list(map(str, self.dates))
        if training_set is not None:
            where, partitions = f"training_set = '{training_set}'", [training_set]
        elif made_of is not None:
            where, partitions = "true", [WHOLE_TABLE]
        frame = few_files(frame, len(self.dates))
        commit = self._replace(table, frame, where, rows, self.record.metadata(table, partitions, made_of))
        seconds = (checked - started, time.monotonic() - checked)
        log.debug("%s: checked in %.1f s, written in %.1f s", table, *seconds)
        return commit

    def commit_bucket(self, table: str, frame: DataFrame, bucket: int, count: int) -> None:
        """Compute the rows of one bucket of the data date once, check them, and replace it in one commit.

        Args:
            table: name of a table that the job declares to write, without a suite.
            frame: the rows, in the declared columns.
            bucket: its number; buckets come in ascending order, and the last one takes away those beyond.
            count: how many there are.

        Raises:
            LamplighterError: a key is null or stands twice, or a constraint does not hold.
        """
        self._declared.require_written(table)
        frame = self.compute(frame)
        rows = check_rows(frame, self.catalog[table])
        where = f"{dates_where(self.first, self.data_date)} AND {bucket_where(bucket, count)}"
        metadata = self.record.metadata(table, [str(self.data_date)]) | {"bucket": (bucket, count)}
        of_all = rows + self.record.rows_written.get(table, 0)
        self._replace(table, frame, where, of_all, metadata)

    def merge(self, table: str, frame: DataFrame, made_of: str) -> None:
        """Make the rows of a whole table those of a frame, in one commit that writes only what differs.

        Args:
            table: name of a table that the job declares to write.
            frame: all rows, in the declared columns; checked as by `commit`.
            made_of: what they are made of, without `:`; not recorded if nothing differs.

        Raises:
            LamplighterError: a key is null or stands twice, or a constraint does not hold.
        """
        self._declared.require_written(table)
        frame = self.compute(frame)
        check_rows(frame, self.catalog[table])
        metadata = self.record.metadata(table, [WHOLE_TABLE], made_of)
        commit = self._project.store.merge(table, frame, metadata)
        if commit is not None:
            self.record.add(commit)

    def commit_rows(self, table: str, rows: Sequence[Mapping[str, Any]], **key: Any) -> Commit:
        """Replace rows of a small table in one commit, without Spark.

        Args:
            table: name of a table that the job declares to write.
            rows: the rows.
            key: column=value (or values) that the replaced rows have, beside our data dates in a table of
                data dates.
        """
        self._declared.require_written(table)
        column = self.catalog[table].date_column
        where = key_where(({} if column is None else {column: self.dates}) | key)
        partitions = [key["training_set"]] if "training_set" in key else list(map(str, self.dates))
        return self._replace_rows(table, rows, where, partitions)

    def append_rows(self, table: str, rows: Sequence[Mapping[str, Any]]) -> Commit:
        """Append rows to a small table, without Spark."""
        self._declared.require_written(table)
        metadata = self.record.metadata(table, list(map(str, self.dates)))
        return self.record.add(self._project.store.append_rows(table, rows, self.record.owner, metadata))

    def append_new_rows(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append those rows to a small table whose keys it does not hold yet, without Spark."""
        grain = self.catalog[table].grain
        known = {tuple(row[column] for column in grain) for row in self.rows(table)}
        new = [row for row in rows if tuple(row[column] for column in grain) not in known]
        if new:
            self.append_rows(table, new)

    def note(self, text: str) -> None:
        """Add to the line that people read of this run."""
        self.record.notes.append(text)

    # --- inside --------------------------------------------------------------------------------

    def _replace(
        self, table: str, frame: DataFrame, where: str, rows: int, metadata: Mapping[str, Any]
    ) -> Commit:
        return self.record.add(self._project.store.replace(table, frame, where, metadata, rows))

    def _replace_rows(
        self, table: str, rows: Sequence[Mapping[str, Any]], where: str, partitions: Sequence[str]
    ) -> Commit:
        metadata = self.record.metadata(table, partitions)
        return self.record.add(
            self._project.store.replace_rows(table, rows, self.record.owner, metadata, where)
        )

    def _version(self, table: str) -> int | None:
        """Return the version of a table that this run reads, pinned at its first read."""
        pinned = self.record.versions_read
        version = pinned.get(table, self._project.store.version(table))
        if version is not None:
            pinned[table] = version
        return version
