"""One job at work: it reads, checks and commits through its run, so that nothing goes unrecorded."""

import logging
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame, SparkSession

from core.declared_config import declared_part
from core.errors import BlockedError, LamplighterError
from core.schema import Config
from core.training_days import date_range
from jobs.runtime import checks
from jobs.runtime.arguments import Arguments, span_of
from jobs.runtime.job import Job
from jobs.runtime.logs import log_context
from jobs.runtime.pipeline import all_jobs, writers
from jobs.runtime.progress import step_line, step_progress
from jobs.runtime.project import Project
from jobs.tables.faults import explain
from jobs.tables.ledger import DateRecord, Entry, NewestRun, RunKey, State, new_run_id
from jobs.tables.locks import owner_text
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
        run_id: sorts by the time of the start.
        notes: what the line that people read says beside the rows.
    """

    def __init__(self, job: Job, project: Project) -> None:
        self.project = project
        self.job = job
        self.dates = date_range(project.arguments.first, project.arguments.last)
        keys = [*job.config, *(f"suites.{table}" for table in job.writes), "dataset"]
        self.config: Config = declared_part(project.config, keys)
        self.run_id = new_run_id()
        self.notes: list[str] = []
        self.fingerprints = self._fingerprints()
        self._entry = Entry(
            run_id=self.run_id,
            job=job.name,
            model=project.config.model.name if job.is_per_model else "",
            code_revision=code_revision(project.folder),
            dates=self.fingerprints,
        )
        self._started = time.monotonic()
        self._ended: float | None = None

    # --- what it is for ------------------------------------------------------------------------

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
        return self.fingerprints[self.data_date].fingerprint

    @property
    def inputs(self) -> tuple[str, ...]:
        """Inputs of the (last) data date's fingerprint, `label=hash` each."""
        return self.fingerprints[self.data_date].inputs

    @property
    def recipe_hash(self) -> str:
        """Hash of code and configuration of this job and of all before it, whatever data there are."""
        return self.project.lineage(self.dates).recipe_hash(self.job.name)

    @property
    def code_revision(self) -> str:
        """Git revision of the project, for people."""
        return self._entry.code_revision

    @property
    def seconds(self) -> float:
        """Seconds since the start; of an ended run, to its end."""
        return (self._ended or time.monotonic()) - self._started

    @property
    def rows_written(self) -> Mapping[str, int]:
        """Table -> rows of its commits."""
        return self._entry.rows

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
        self._require_declared(table)
        version = self._entry.versions_read.get(table, self.project.store.version(table))
        if version is not None:
            self._entry.versions_read[table] = version
        frame = self.project.store.read(self.spark, table, version)
        return frame if first is None else frame.where(dates_where(first, last or first))

    def rows(self, table: str, predicate: str | None = None) -> list[dict[str, Any]]:
        """Return rows of a small table, read without Spark."""
        self._require_declared(table)
        version = self.project.store.version(table)
        if version is not None:
            self._entry.versions_read[table] = version
        return self.project.store.rows(table, predicate)

    def files(self, table: str, predicate: str) -> list[str]:
        """Return the URIs of a table's data files that meet a predicate over partition columns."""
        self._require_declared(table)
        found = self.project.store.delta(table)
        if found is None:
            return []
        self._entry.versions_read[table] = found.version()
        return [f"file://{file}" for file in self.project.store.files(table, predicate, found.version())]

    @property
    def versions_read(self) -> Mapping[str, int]:
        """Table -> version that was read."""
        return dict(self._entry.versions_read)

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
        where: str | None = None,
        made_of: str | None = None,
        partition: str | None = None,
    ) -> Commit:
        """Compute rows once, check them, and replace our data dates (or `where`) by them in one commit.

        Checked are the suite of the table, where it has one, then its grain and constraints.

        Args:
            table: name of a table that the job declares to write.
            frame: the rows, in the declared columns.
            where: SQL predicate that all rows meet; None: our data dates. "true": the whole table.
            made_of: what the whole table is made of, for `is_made_of`.
            partition: name of the partition that is replaced, where it is not our data dates.

        Raises:
            BlockedError: the suite does not pass; the table is unchanged.
            LamplighterError: a key is null or stands twice, or a constraint does not hold.
        """
        self._require_written(table)
        declared = self.project.catalog[table]
        frame = self.compute(frame)
        if declared.has_suite:
            checks.require_passed(self.judge(frame, table))
        return self.commit_checked(table, frame, where, made_of, partition)

    def commit_checked(
        self,
        table: str,
        frame: DataFrame,
        where: str | None = None,
        made_of: str | None = None,
        partition: str | None = None,
    ) -> Commit:
        """Replace rows as `commit` does, whose suite the job has run itself."""
        self._require_written(table)
        started = time.monotonic()
        rows = check_rows(frame, self.project.catalog[table])
        checked = time.monotonic()
        where = where or dates_where(self.first, self.data_date)
        commit = self.project.store.replace(
            table, frame, where, self._metadata(table, made_of, partition), rows
        )
        log.debug(
            "%s: checked in %.1f s, written in %.1f s", table, checked - started, time.monotonic() - checked
        )
        return self._record(commit)

    def commit_rows(self, table: str, rows: Sequence[Mapping[str, Any]], where: str) -> Commit:
        """Replace the rows of a small table that meet a predicate, without Spark."""
        self._require_written(table)
        owner = owner_text(self.run_id)
        return self._record(self.project.store.replace_rows(table, rows, owner, self._metadata(table), where))

    def append_rows(self, table: str, rows: Sequence[Mapping[str, Any]]) -> Commit:
        """Append rows to a small table, without Spark."""
        self._require_written(table)
        owner = owner_text(self.run_id)
        return self._record(self.project.store.append_rows(table, rows, owner, self._metadata(table)))

    def is_written(self, table: str, **key: Any) -> bool:
        """Return whether a small table has a row with this key already."""
        return any(all(row[name] == value for name, value in key.items()) for row in self.rows(table))

    def bundle_folder(self, model_version: str) -> Path:
        """Return the folder of a model bundle that this run leaves."""
        return self.project.catalog.bundle(model_version)

    def register_model(self, bundle: Path, tags: dict[str, str], metrics: dict[str, float]) -> None:
        """Mirror a bundle in the model registry, for people."""
        register(self.project.catalog, bundle, tags, metrics)

    def is_made_of(self, table: str, made_of: str) -> bool:
        """Return whether the newest commit of a whole table was made of the same, with the same recipe."""
        return self.project.store.newest_metadata(table).get("made_of") == self._made_of(made_of)

    def judge(self, frame: DataFrame, table: str) -> "Verdict":
        """Run a table's suite over rows, and record the verdict."""
        started = time.monotonic()
        verdict = checks.judge(frame, table, self.config)
        log.debug("%s: suite run in %.1f s", table, time.monotonic() - started)
        self.record_verdict(verdict, self.data_date)
        return verdict

    def record_verdict(self, verdict: "Verdict", data_date: date) -> None:
        """Write a verdict to `quality_results`, in place of the one of an earlier run."""
        rows = checks.to_rows(verdict, self.run_id, data_date)
        predicate = f"data_date = '{data_date}' AND \"table\" = '{verdict.table}'"
        metadata = {"run_id": self.run_id, "job": self.job.name}
        self.project.store.replace_rows("quality_results", rows, owner_text(self.run_id), metadata, predicate)

    def note(self, text: str) -> None:
        """Add to the line that people read of this run."""
        self.notes.append(text)

    # --- start and end -------------------------------------------------------------------------

    def require_inputs(self) -> None:
        """Stop unless the jobs that write what this one reads are done.

        Raises:
            LamplighterError: naming the job and the dates to run first.
        """
        known = self.project.newest_runs(self.dates)
        producers = writers(all_jobs())
        for read in self.job.reads:
            for table in read.names(self.project.config):
                producer = producers.get(table)
                if read.is_needed and producer is not None and producer != self.job.name:
                    needed = sorted(
                        {each for day in self.dates for each in read.dates(self.project.config, day)}
                    )
                    self._require_done(producer, needed, known)

    def _require_done(self, producer: str, needed: list[date], known: Mapping[RunKey, NewestRun]) -> None:
        model = self.project.config.model.name if all_jobs()[producer].is_per_model else ""
        runs = {day: known.get(RunKey(producer, model, day)) for day in needed}
        missing = [day for day, run in runs.items() if run is None or run.state != "done"]
        if missing:
            flags = f" --model {model}" if model else ""
            span = span_of(missing[0], missing[-1])
            raise LamplighterError(
                f"{producer} is not done for data date {span}, which {self.job.name} reads; "
                f"run `lamplighter {producer} --data-date {span}{flags}` first"
            )

    def write_recipe(self) -> None:
        """Record what the hashes of code and configuration stand for, unless that is recorded."""
        recipe = self.project.lineage(self.dates).recipe(self.job.name)
        record = self.fingerprints[self.data_date]
        known = {row["hash"] for row in self.project.store.rows("recipes")}
        rows = [
            {"hash": value, "kind": kind, "entries": [f"{name}={each}" for name, each in entries.items()]}
            for kind, value, entries in (
                ("code", record.code_hash, recipe.code),
                ("config", record.config_hash, recipe.config),
            )
            if value not in known
        ]
        if rows:
            metadata = {"run_id": self.run_id, "job": self.job.name}
            self.project.store.append_rows("recipes", rows, owner_text(self.run_id), metadata)

    def write_state(self, state: State, message: str = "") -> None:
        """Write the run's state to the ledger."""
        self.project.ledger.write(self._entry, state, self.seconds if state != "started" else 0.0, message)

    def end(self) -> None:
        """Stop the clock."""
        self._ended = time.monotonic()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the locks of all tables that Spark replaces in this job."""
        store = self.project.store
        with ExitStack() as held:
            for table in self.job.writes:
                if store.catalog[table].is_large:
                    held.enter_context(store.locks.hold(self.spark, table, owner_text(self.run_id)))
            yield

    # --- inside --------------------------------------------------------------------------------

    def _fingerprints(self) -> dict[date, DateRecord]:
        lineage = self.project.lineage(self.dates, expected=(self.job.name,))
        made = {day: lineage.make(self.job.name, day) for day in self.dates}
        return {
            day: DateRecord(found.value, found.code, found.config, found.inputs)
            for day, found in made.items()
        }

    def _made_of(self, made_of: str) -> str:
        record = self.fingerprints[self.data_date]
        return f"{record.code_hash}:{record.config_hash}:{made_of}"

    def _metadata(
        self, table: str, made_of: str | None = None, partition: str | None = None
    ) -> dict[str, Any]:
        """Return what a commit carries: the run, and the fingerprint of each partition that it replaces."""
        metadata: dict[str, Any] = {
            "run_id": self.run_id,
            "job": self.job.name,
            "model": self._entry.model,
            "partitions": {str(day): record.fingerprint for day, record in self.fingerprints.items()},
        }
        if partition is not None:
            metadata["partitions"] |= {partition: self.fingerprint}
        columns = self.project.catalog[table].column_fingerprints
        metadata |= {"columns": dict(columns)} if columns else {}
        return metadata | ({} if made_of is None else {"made_of": self._made_of(made_of)})

    def _record(self, commit: Commit) -> Commit:
        self._entry.rows[commit.table] = commit.rows
        self._entry.versions_written[commit.table] = commit.version
        return commit

    def _require_declared(self, table: str) -> None:
        declared = {name for read in self.job.reads for name in read.names(self.project.config)}
        if table not in declared | set(self.job.writes) | SHARED_TABLES:
            raise LamplighterError(
                f"{self.job.name} reads {table}, which it does not declare; add it to `reads=` in "
                f"{self.job.module.replace('.', '/')}.py"
            )

    def _require_written(self, table: str) -> None:
        if table not in self.job.writes:
            raise LamplighterError(
                f"{self.job.name} writes {table}, which it does not declare; add it to `writes=` in "
                f"{self.job.module.replace('.', '/')}.py"
            )


def run_job(job: Job, arguments: Arguments) -> Run:
    """Run a job and write its end to the ledger, whatever it is.

    Raises:
        LamplighterError: as the job does; its message then starts with job and data date.
    """
    run = Run(job, Project(arguments))
    with log_context(run_id=run.run_id, data_date=run.span):
        try:
            with run.locked():
                run.write_recipe()
                run.write_state("started")
                with step_progress(f"{job.name} {run.span}"):
                    _follow(run)
        except LamplighterError as error:
            raise type(error)(f"{job.name} {run.span}: {error}") from error
        log.info(step_line(run))
    return run


def _follow(run: Run) -> None:
    """Run the outline, and record how it ends."""
    state: State = "failed"
    message = "interrupted"
    try:
        reason = run.project.no_training(run.data_date) if run.job.is_per_model else None
        if reason is None:
            run.require_inputs()
            run.job.outline(run)
        else:
            run.note(reason)
        state, message = "done", "; ".join(run.notes)
    except LamplighterError as error:
        state, message = ("blocked" if isinstance(error, BlockedError) else "failed"), str(error)
        raise
    except Exception as error:  # recorded, then raised: as what it means where that is known
        message = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        if (known := explain(error)) is not None:
            message = str(known)
            raise known from error
        raise
    finally:
        run.end()
        run.write_state(state, message)


@cache
def code_revision(project: Path) -> str:
    """Return the git revision of the project, with a + if files differ; "unknown" outside of git."""
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12"],
            cwd=project,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
