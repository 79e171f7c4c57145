"""Run a job: inputs that must be there, locks, the ledger, and how it ends."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import date

from core.errors import LamplighterError
from jobs.runtime.arguments import Arguments, span_of
from jobs.runtime.job import RANGE, Job
from jobs.runtime.logs import log_context
from jobs.runtime.lost import lost_commit
from jobs.runtime.pipeline import all_jobs, writers
from jobs.runtime.progress import step_line, step_progress
from jobs.runtime.project import Project
from jobs.runtime.readable import require_readable
from jobs.runtime.run import Run
from jobs.tables.faults import explain
from jobs.tables.ledger import EXIT_CODES, NewestRun, RunKey, State

log = logging.getLogger("lamplighter")
_STATES: dict[int, State] = {code: state for state, code in EXIT_CODES.items()}


def run_job(job: Job, arguments: Arguments) -> Run:
    """Run a job and write its end to the ledger, whatever it is.

    Raises:
        LamplighterError: as the job does; its message then starts with job and data date. What has to be
            there before is checked first: a run that could not begin is no entry of the ledger.
    """
    project = Project(arguments)
    require_readable(project)
    run = Run(job, project)
    with log_context(run_id=run.record.run_id, data_date=run.span):
        try:
            no_training = project.no_training(run.data_date) if job.is_per_model else None
            if no_training is None:
                require_inputs(job, project)
                if job.requires is not None:
                    job.requires(run)
            with locked(run, project):
                run.record.write_recipe()
                run.record.write_state("started")
                with step_progress(f"{job.name} {run.span}"):
                    _follow(run, no_training)
        except LamplighterError as error:
            raise type(error)(f"{job.name} {run.span}: {error}") from error
        log.info(step_line(run))
    return run


def require_inputs(job: Job, project: Project) -> None:
    """Stop unless the jobs that write what a job reads are done.

    Raises:
        LamplighterError: naming the job and the dates to run first.
    """
    known = project.newest_runs(project.dates)
    producers = writers(all_jobs())
    for read in job.reads:
        producer = producers.get(read.table)
        if read.is_needed and producer is not None and producer != job.name:
            needed = {each for day in project.dates for each in read.dates(project.config, day)}
            _require_done(job, project, all_jobs()[producer], sorted(needed), known)


@contextmanager
def locked(run: Run, project: Project) -> Iterator[None]:
    """Hold the locks of all tables that Spark replaces in a job."""
    store = project.store
    with ExitStack() as held:
        for table in run.job.tables(project.config):
            if store.catalog[table].is_large:
                held.enter_context(store.locks.hold(run.spark, table, run.record.owner))
        yield


def _follow(run: Run, no_training: str | None) -> None:
    """Run the outline, unless it is no training night, and record how it ends."""
    state: State = "failed"
    message = "interrupted"
    try:
        if no_training is None:
            run.job.outline(run)
        else:
            run.note(no_training)
        state, message = "done", "; ".join(run.record.notes)
    except LamplighterError as error:
        state, message = _STATES[error.exit_code], str(error)
        raise
    except Exception as error:  # recorded, then raised: as what it means where that is known
        message = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        if (known := explain(error)) is not None:
            state, message = _STATES[known.exit_code], str(known)
            raise known from error
        raise
    finally:
        run.record.write_state(state, message)


def _require_done(
    job: Job, project: Project, producer: Job, needed: list[date], known: Mapping[RunKey, NewestRun]
) -> None:
    model = project.config.model.name if producer.is_per_model else ""
    runs = {day: known.get(RunKey(producer.name, model, day)) for day in needed}
    missing = [day for day, found in runs.items() if found is None or found.state != "done"]
    flags = f" --model {model}" if model else ""
    for day, found in runs.items():
        tables = producer.tables(project.config)
        lost = found and day not in missing and lost_commit(project.store, tables, found)
        if lost:
            raise LamplighterError(
                f"{lost}: what {job.name} reads of data date {day}; run `lamplighter {producer.name} "
                f"--data-date {day}{flags}` first"
            )
    if missing:
        span = span_of(missing[0], missing[-1])
        history = ", or `lamplighter history` over all data dates that the ledger lacks"
        raise LamplighterError(
            f"{producer.name} is not done for data date {span}, which {job.name} reads; run `lamplighter "
            f"{producer.name} --data-date {span}{flags}` first"
            f"{history if producer.dates is RANGE else ''}"
        )
