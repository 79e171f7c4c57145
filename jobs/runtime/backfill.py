"""Backfill: make again what late, corrected, withdrawn and re-admitted rows have changed, and only that.

What is out of date follows from fingerprints. A backfill ends with the tables of a history that had all
files from the start, up to `examples` and the averages made of them. Pinned training sets, models, decisions
and published lists stay as they happened; lists are made again only where that is asked for.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from core.errors import ConfigError
from core.training_days import date_range
from jobs.runtime.arguments import EARLIEST, Arguments, span_of
from jobs.runtime.estimates import Estimate, estimate, past_runs
from jobs.runtime.night import first_date_of, for_dates, run_night
from jobs.runtime.pipeline import all_jobs, data_steps
from jobs.runtime.plan import LATE_ROWS, Cause, PlannedStep, Planner
from jobs.runtime.project import Project
from jobs.runtime.readable import added_columns, require_readable, schema_differences
from jobs.tables.file_dates import count_dates, rows_with_dates, to_manifest_row
from jobs.tables.ledger import RunKey

log = logging.getLogger("lamplighter")

CHANGED_ROWS: frozenset[Cause] = LATE_ROWS | {"archived"}
"""Causes for which a backfill goes back behind its first date, within the lateness horizon."""
RESCORED = ("build_pools", "score", "publish", "look_back", "report")
"""Jobs that `--rescore` runs again for dates whose lists were published."""


@dataclass(frozen=True)
class Redo:
    """One job for one data date that is out of date.

    Attributes:
        job: its name.
        data_date: the data date.
        why: what has changed, or will.
        rows: estimate of the rows that it writes.
        seconds: estimate: its share of the run that it is part of.
    """

    job: str
    data_date: date
    why: str
    rows: float
    seconds: float


@dataclass(frozen=True)
class BackfillPlan:
    """What a backfill would run, in order.

    Attributes:
        steps: what it makes again.
        later: what jobs after these have made of it; it stays, unless lists are to be made again.
        runs: job -> runs of the ledger that its estimate is taken from.
        notices: what a person should know beside.
    """

    steps: tuple[Redo, ...]
    later: tuple[Redo, ...]
    runs: dict[str, int]
    notices: tuple[str, ...]


def up_to_newest(arguments: Arguments) -> Arguments:
    """Return arguments that end with the newest data date that was ever ingested.

    Raises:
        ConfigError: there is none since the first date.
    """
    runs = Project(arguments).ledger.newest_of_all()
    newest = max((key.data_date for key in runs if key.job == "ingest"), default=None)
    if newest is None or newest < arguments.first:
        raise ConfigError(
            f"--from {arguments.first}: no data date since then was ever built (newest: {newest}); expected "
            "one to look at: run `lamplighter history` over the data dates first, or name an end with --to"
        )
    return replace(arguments, last=newest)


def plan_backfill(arguments: Arguments) -> BackfillPlan:
    """Return what a backfill would run, and why; nothing is written.

    Cost: hashes of the dates' files; of files that were never looked at, one read of their event times.
    """
    project = Project(replace(arguments, fills_in=True))
    require_readable(project)
    look_at_new_files(project)
    dates = date_range(_first_changed(project), arguments.last)
    first_dates = {name: first_date_of(project, name, dates[0], planned=dates) for name in data_steps()}
    planner = Planner(project, dates, tuple(all_jobs()), first_dates)
    past = {job: estimate(runs) for job, runs in past_runs(project.ledger.rows()).items()}
    steps: list[Redo] = []
    for name, first in first_dates.items():
        found = _reasons(planner, name, [day for day in dates if day >= first])
        steps += _redone(name, found, past.get(name, estimate(())))
    later = [
        step
        for job in all_jobs().values()
        if job.name not in data_steps()
        for step in _redone(
            job.name, _reasons(planner, job.name, _ran(planner, job.name)), past.get(job.name, estimate(()))
        )
    ]
    runs = {name: found.runs for name, found in past.items()}
    return BackfillPlan(tuple(steps), tuple(later), runs, tuple(_notices(project, steps)))


def run_backfill(arguments: Arguments, rescore: bool = False) -> list[PlannedStep]:
    """Run what is out of date, oldest data date first; return the steps as they were planned at their turn.

    A run that was cut off is resumed by running again: steps that are done are up to date.

    Args:
        arguments: for the data dates, both ends included.
        rescore: also make the lists again that were published for these dates, by the champion as of each.

    Raises:
        LamplighterError: the file of a date that was never built is missing, or a job fails.
    """
    arguments = replace(arguments, fills_in=True)
    project = Project(arguments)
    require_readable(project)
    _require_files(project)
    done = [_run_step(arguments, "scan_sources")]
    asked = replace(arguments, first=_first_changed(Project(arguments)))
    done += [_run_step(asked, name) for name in data_steps()]
    if rescore:
        for day in date_range(asked.first, asked.last):
            done += _rescore(replace(asked, first=day, last=day))
    return done


def look_at_new_files(project: Project) -> None:
    """Read which data dates the files hold rows of that `scan_sources` does not know yet.

    Only files that may hold rows of a date that was ingested; nothing is written.
    """
    sources, events = project.sources, project.config.source.events
    known = {(row["path"], row["sha256"]) for row in sources.manifest}
    ingested = {key.data_date for key in project.newest_runs(project.dates) if key.job == "ingest"}
    days = [day for day in project.dates if ingested & _days_before(day, events.lateness_days)]
    found: list[dict[str, Any]] = []
    for action, log in sources.logs.items():
        new = [file for day in days for file in log.of(day) if (file.path, file.sha256) not in known]
        if new:
            rows = rows_with_dates(project.spark, log, new, action, project.config)
            counts = count_dates(rows)
            found += [to_manifest_row(file, counts) for file in new]
    sources.unrecorded = tuple(found)


def _days_before(day: date, days: int) -> set[date]:
    return {day - timedelta(days=back) for back in range(1, days + 1)}


def _first_changed(project: Project) -> date:
    """Return the first data date to look at: the first that was asked for, or one within the horizon before.

    Files of the dates that were asked for may bring rows of these, or have lost some.
    """
    first, planner = project.arguments.first, Planner(project, project.dates, ())
    late = (
        day
        for name in data_steps()
        for day in planner.late_dates(name, first, first_date_of(project, name, EARLIEST), CHANGED_ROWS)
    )
    return min([first, *late])


def _run_step(arguments: Arguments, name: str) -> PlannedStep:
    """Run a job for those data dates that need it, each row of consecutive ones as one range."""
    project = Project(arguments)
    begin = first_date_of(project, name)
    dates = [day for day in project.dates if day >= begin]
    step = Planner(project, dates, [name]).step(name, dates) if dates else PlannedStep(name, (), "up to date")
    for span in spans(step.dates):
        all_jobs()[name](for_dates(arguments, name, span))
    return step


def _rescore(asked: Arguments) -> list[PlannedStep]:
    """Make the lists of a data date again if they were published, and what was made of them."""
    runs = Project(asked).newest_runs([asked.first])
    ran = {key.job for key in runs if key.data_date == asked.first}
    return run_night(asked, [name for name in RESCORED if name in ran]) if "publish" in ran else []


def _require_files(project: Project) -> None:
    """Stop where the files of a data date that was never built are missing; others may be withdrawn."""
    for attributes in project.sources.attributes():
        attributes.require(max(project.dates))
    known = project.newest_runs(project.dates)
    for day in project.dates:
        if RunKey("ingest", "", day) not in known:
            project.sources.require_log_files(day, project.arguments.allow_empty)


def _reasons(planner: Planner, job: str, dates: Sequence[date]) -> dict[date, str]:
    return {day: reason.text for day in dates if (reason := planner.reason(job, day)) is not None}


def _ran(planner: Planner, job: str) -> list[date]:
    """Return the data dates for which a job has run, of those that are planned."""
    model = planner.project.config.model.name if all_jobs()[job].is_per_model else ""
    return [day for day in planner.dates if RunKey(job, model, day) in planner.lineage.known]


def _redone(job: str, reasons: dict[date, str], past: Estimate) -> list[Redo]:
    together = spans([*reasons]) if job in data_steps() else [[day] for day in reasons]
    return [
        Redo(job, day, reasons[day], past.rows_of(day), past.seconds(len(span)) / len(span))
        for span in together
        for day in span
    ]


def spans(dates: Sequence[date]) -> list[list[date]]:
    """Return dates in groups of consecutive ones."""
    found: list[list[date]] = []
    for day in sorted(dates):
        if found and day - found[-1][-1] == timedelta(days=1):
            found[-1].append(day)
        else:
            found.append([day])
    return found


def _notices(project: Project, steps: Sequence[Redo]) -> Iterator[str]:
    """Yield how columns change, and what dates after the last one that was asked for would miss."""
    first = min((step.data_date for step in steps), default=project.arguments.first)
    differences = schema_differences(project)
    for table, what in added_columns(project, differences).items():
        yield f"{table}: {what}; it is added, and null before {first}"
    for table, difference in differences.items():
        if difference.old:
            names = ", ".join(difference.old)
            yield f"{table}: {names} is not declared any more: it stays as it is in older rows"
    runs = project.ledger.newest_of_all()
    last = project.arguments.last
    after = sorted(key.data_date for key in runs if key.job == "build_features" and key.data_date > last)
    if after and any(step.job == "build_features" for step in steps):
        yield (
            f"features as of {span_of(after[0], after[-1])} continue those that change; leave out --to, or "
            "they stay out of date"
        )
