"""One run of one job: its configuration, tables, lock, fingerprints and line in the ledger."""

import logging
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from core.errors import BlockedError, ConfigError, LamplighterError
from core.load import PROJECT_DIR, load_config, resolve_path
from core.schema import Config, Suite
from jobs.runtime import steps
from jobs.runtime.arguments import Arguments
from jobs.tables.catalog import Catalog
from jobs.tables.ledger import Entry, Finished, Ledger, date_range, new_run_id
from jobs.tables.locks import TableLock, owner_text
from jobs.tables.registry import champion_as_of
from jobs.tables.session import spark_session
from jobs.tables.sources import Sources
from jobs.tables.store import Commit, Store, check_rows, dates_where
from quality.verdicts import Verdict

log = logging.getLogger("lamplighter")


class Scene:
    """What can be known before a job starts: configuration, tables, what the ledger says is done."""

    def __init__(self, arguments: Arguments) -> None:
        self.arguments = arguments
        self.config: Config = load_config(
            arguments.dataset, arguments.where, arguments.model_name, arguments.settings
        )
        self.catalog = Catalog(self.config)
        self.store = Store(self.catalog, self.config.runtime.lock_wait_seconds)
        self.ledger = Ledger(self.store)
        self.sources = Sources(self.config, self.store)
        self.first, self.last = arguments.first, arguments.last
        self.dates = date_range(self.first, self.last)

    @property
    def dates_in_reach(self) -> list[date]:
        """Data dates whose state a job of these dates may depend on."""
        earliest = self.first - timedelta(days=1)
        pinned = steps.training_end(self.config, self.last)
        if pinned is not None:
            earliest = min(earliest, steps.training_days(self.config, pinned)[0])
        return date_range(earliest, self.last)

    def report_file(self, day: date) -> Path:
        """Where the page of a night is."""
        return resolve_path(self.config.paths.reports) / self.config.dataset / f"{day}.html"

    def newest_runs(self) -> dict[tuple[str, str, date], Finished]:
        """(job, model, data date) -> newest run, of the dates in reach."""
        return self.ledger.newest(self.dates_in_reach)

    def no_training(self) -> str | None:
        """Why this is no training night for the configured model; None if it is one.

        When an earlier night trained the model on the current training set, there is nothing to train, to
        evaluate or to decide. The expected fingerprint counts: other examples, code or configuration make
        another model.
        """
        if steps.training_end(self.config, self.last) is None:
            return (
                f"no training set yet: the first is pinned on {self.config.training.anchor} (training.anchor)"
            )
        expected = ("ingest", "build_features", "label_cohorts", "build_examples", "pack", "train")
        wanted = self.lineage(expected).make("train", self.last)
        nights = [
            day
            for (job, model, day), run in self.newest_runs().items()
            if (job, model, run.state) == ("train", self.config.model.name, "done")
            and day < self.last
            and run.fingerprint == wanted
        ]
        return (
            f"not a training night: {self.config.model.name} was trained on {min(nights)}" if nights else None
        )

    def lineage(self, expected: Sequence[str] = ()) -> steps.Lineage:
        """Fingerprints by what is recorded; of `expected` jobs at our dates, by what would be."""
        known = {key: run.fingerprint for key, run in self.newest_runs().items() if run.state == "done"}
        return steps.Lineage(
            config=self.config,
            sources=self.sources,
            known=known,
            champions=lambda day, candidate: champion_as_of(self.store, day, candidate),
            dates=frozenset(self.dates),
            expected=frozenset(expected),
        )


class Run(Scene):
    """A run under way. Jobs read, validate and replace through it, so that nothing goes unrecorded."""

    def __init__(self, job: str, arguments: Arguments) -> None:
        super().__init__(arguments)
        self.job = job
        self.step = steps.STEPS[job]
        self.run_id = new_run_id()
        self.owner = owner_text(self.run_id)
        self.notes: list[str] = []  # for the line that a person reads
        self._started = time.monotonic()
        self._ended: float | None = None
        self.entry = Entry(
            run_id=self.run_id,
            job=job,
            model=self.config.model.name if self.step.of_model else "",
            config_hash=steps.config_hash(self.config),
            code_revision=code_revision(),
            fingerprints=self.fingerprints(),
        )

    # --- read ----------------------------------------------------------------------------------

    @cached_property
    def spark(self) -> SparkSession:
        """The session; made at the first use, so that jobs without Spark start none."""
        return spark_session(self.config)

    def read(self, table: str, first: date | None = None, last: date | None = None) -> DataFrame:
        """A table at its newest version, which is pinned and recorded; or some of its data dates."""
        version = self.entry.versions_read.get(table, self.store.version(table))
        if version is not None:
            self.entry.versions_read[table] = version
        frame = self.store.read(self.spark, table, version)
        return frame if first is None else frame.where(dates_where(first, last or first))

    def rows(self, table: str, predicate: str | None = None) -> list[dict[str, Any]]:
        """Rows of a small table."""
        version = self.store.version(table)
        if version is not None:
            self.entry.versions_read[table] = version
        return self.store.rows(table, predicate)

    def require_inputs(self, skip: Sequence[str] = ()) -> None:
        """Stop unless the jobs before this one are done for the dates that it reads.

        Raises:
            LamplighterError: naming the job and the dates to run first.
        """
        runs = self.newest_runs()
        for job, days_before in self.step.needs:
            model = self.config.model.name if steps.STEPS[job].of_model else ""
            needed = [day - timedelta(days=days_before) for day in self.dates]
            missing = [day for day in needed if not _is_done(runs.get((job, model, day)))]
            if missing and job not in skip:
                flags = f" --model {model}" if model else ""
                span = str(missing[0]) if len(missing) == 1 else f"{missing[0]}..{missing[-1]}"
                raise LamplighterError(
                    f"{job} is not done for data date {span}, which {self.job} reads; "
                    f"run `lamplighter {job} --data-date {span}{flags}` first"
                )

    def compute(self, frame: DataFrame) -> DataFrame:
        """Compute a result once: what is checked is what is committed.

        A local checkpoint rather than persist(): the result forgets the plan that made it, which Spark
        would otherwise analyse again for every rule and every write. Freed with the frame.
        """
        return frame.localCheckpoint(eager=True)

    # --- check and write -----------------------------------------------------------------------

    def validate(self, frame: DataFrame, table: str) -> Verdict:
        """Judge the rows that are about to be committed, and stop if they do not pass.

        Raises:
            BlockedError: a critical rule fails above its threshold; nothing was written.
        """
        verdict = self.judge(frame, table)
        if not verdict.passed:
            raise BlockedError(
                f"{verdict.describe()}; table unchanged; mend the input or the code, then run again"
            )
        return verdict

    def judge(self, frame: DataFrame, table: str) -> Verdict:
        """Run a table's suite over rows, and record the verdict."""
        from quality.suites import (
            run_suite,  # Great Expectations takes 4 s to import; most commands need none
        )

        started = time.monotonic()
        verdict = run_suite(frame, table, self.suite(table))
        log.debug("%s %s: suite met in %.1f s", self.run_id, table, time.monotonic() - started)
        self.record(verdict)
        return verdict

    def suite(self, table: str) -> Suite:
        """The suite of a table.

        Raises:
            ConfigError: it has none.
        """
        if table not in self.config.suites:
            raise ConfigError(
                f"conf/suites/{table}.yaml is missing: what is read by people or models meets a suite first; "
                "write one (`rules: []` for none)"
            )
        return self.config.suites[table]

    def record(self, verdict: Verdict, day: date | None = None) -> None:
        """Write a verdict to `quality_results`, under a data date (default: the last of ours)."""
        day = day or self.last
        rows = [
            {
                "run_id": self.run_id,
                "data_date": day,
                "table": verdict.table,
                "rule": result.rule,
                "outcome": result.outcome,
                "observed": result.observed,
                "threshold": result.threshold,
                "severity": result.severity,
                "failing_rows": result.failing_rows,
            }
            for result in verdict.results
        ]
        predicate = f"data_date = '{day}' AND \"table\" = '{verdict.table}'"
        self.replace_rows("quality_results", rows, predicate)

    def replace(self, table: str, frame: DataFrame, where: str | None = None, made_of: str = "") -> Commit:
        """Check grain and constraints, then replace our data dates (or `where`) in one commit.

        Args:
            made_of: what the whole table is made of, for `is_made_of`.
        """
        started = time.monotonic()
        rows = check_rows(frame, self.catalog[table])
        checked = time.monotonic()
        where = where or dates_where(self.first, self.last)
        commit = self.store.replace(table, frame, where, self.metadata | {"made_of": made_of}, rows)
        seconds = (checked - started, time.monotonic() - checked)
        log.debug("%s %s: checked in %.1f s, written in %.1f s", self.run_id, table, *seconds)
        return self._note(commit)

    def is_made_of(self, table: str, made_of: str) -> bool:
        """Whether the newest commit of a table was made of just this."""
        return self.store.newest_metadata(table).get("made_of") == made_of

    def append_rows(self, table: str, rows: Sequence[Mapping[str, Any]]) -> Commit:
        """Append rows to a book."""
        return self._note(self.store.append_rows(table, rows, self.owner, self.metadata))

    def replace_rows(self, table: str, rows: Sequence[Mapping[str, Any]], predicate: str) -> Commit:
        """Replace rows of a book."""
        return self._note(self.store.replace_rows(table, rows, self.owner, self.metadata, predicate))

    def refresh_fingerprints(self) -> None:
        """Compute the fingerprints again, now that the run has learnt more of its inputs."""
        self.entry.fingerprints = self.fingerprints()

    def fingerprints(self) -> dict[date, str]:
        """What each of our dates will be made of; where a date continues the one before, that is ours too."""
        lineage = self.lineage(expected=(self.job,))
        return {day: lineage.make(self.job, day) for day in self.dates}

    @property
    def fingerprint(self) -> str:
        """Fingerprint of our last data date."""
        return self.entry.fingerprints[self.last]

    @property
    def metadata(self) -> dict[str, str]:
        """What every commit of this run carries."""
        span = str(self.first) if self.first == self.last else f"{self.first}..{self.last}"
        return {"run_id": self.run_id, "job": self.job, "data_date": span, "fingerprint": self.fingerprint}

    @property
    def seconds(self) -> float:
        """Seconds since the start; of an ended run, to its end."""
        return (self._ended or time.monotonic()) - self._started

    def end(self) -> None:
        """Stop the clock."""
        self._ended = time.monotonic()

    def _note(self, commit: Commit) -> Commit:
        if commit.table != "quality_results":
            self.entry.rows[commit.table] = commit.rows
        self.entry.versions_written[commit.table] = commit.version
        return commit

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the locks of all tables that Spark replaces here."""
        locks: list[TableLock] = []
        try:
            for table in self.step.writes:
                locks.append(TableLock.take(self.spark, self.catalog.lock(table), self.owner))
            yield
        finally:
            for lock in locks:
                lock.release()


Job = Callable[[Run], None]


@contextmanager
def open_run(job: str, arguments: Arguments) -> Iterator[Run]:
    """Start a run and write its end to the ledger, whatever it is.

    Raises:
        LamplighterError: as the job does; its message then starts with job and data date.
    """
    run = Run(job, arguments)
    span = run.metadata["data_date"]
    state, message = "failed", "interrupted"
    try:
        with run.locked():
            run.ledger.write(run.entry, "started", 0.0)
            try:
                yield run
                state, message = "done", ""
            except LamplighterError as error:
                state, message = ("blocked" if isinstance(error, BlockedError) else "failed"), str(error)
                raise
            except Exception as error:  # recorded, then raised as it is
                message = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
                raise
            finally:
                run.end()
                run.ledger.write(run.entry, state, run.seconds, message)
    except LamplighterError as error:
        raise type(error)(f"{job} {span}: {error}") from error


def _is_done(run: Finished | None) -> bool:
    return run is not None and run.state == "done"


@cache
def code_revision() -> str:
    """Git revision of the project, with a + when files differ from it; "unknown" outside of git."""
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12"],
            cwd=PROJECT_DIR,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
