"""A night in one session: every step in order, from the first unfinished one; and a history of many dates.

A night for data date D also repairs earlier data dates that its file brings late rows of, up to and
including the tables that a history builds. Training sets, models, decisions and published lists of
repaired dates stay as they are.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from types import MappingProxyType

from core.training_days import date_range
from jobs.runtime.arguments import EARLIEST, Arguments, one_date, span_of
from jobs.runtime.pipeline import all_jobs, data_steps
from jobs.runtime.plan import PlannedStep, Planner, Reason, covers_range, plan
from jobs.runtime.project import Project
from jobs.runtime.readable import require_readable, require_sources

log = logging.getLogger("lamplighter")


def steps_of_night(project: Project) -> list[str]:
    """Return the steps of a night: with those for training on a training night."""
    is_training_night = project.no_training(project.arguments.last) is None
    return [job.name for job in all_jobs().values() if is_training_night or not job.is_training]


def plan_night(arguments: Arguments) -> list[PlannedStep]:
    """Return what a night would run, and why; a change runs through to later steps."""
    project = Project(arguments)
    require_sources(project)
    names = [n for n in steps_of_night(project) if first_date_of(project, n) <= arguments.last]
    return _plan_with_late(project, names, arguments.last)


def plan_history(arguments: Arguments) -> list[PlannedStep]:
    """Return what a history would run, and why."""
    project = Project(arguments)
    require_sources(project)
    first_dates = {name: first_date_of(project, name, planned=project.dates) for name in data_steps()}
    return _plan_with_late(project, data_steps(), arguments.first, first_dates)


def _plan_with_late(
    project: Project,
    names: Sequence[str],
    first: date,
    first_dates: Mapping[str, date] = MappingProxyType({}),
) -> list[PlannedStep]:
    """Plan steps; what `ingest` has to repair, the steps after it have to repair, too."""
    planner, passed_on = Planner(project, project.dates, ()), dict[date, Reason]()
    steps = []
    for step in plan(project, names, first_dates):
        late = passed_on | (_late(planner, step.job, first) if covers_range(step.job) else {})
        if step.job == "ingest":
            passed_on = late
        steps.append(_with_late(step, late, project.arguments.last) if covers_range(step.job) else step)
    return steps


def run_night(arguments: Arguments, jobs: Sequence[str] | None = None) -> list[PlannedStep]:
    """Run what is unfinished, step by step; return the steps as they were planned at their turn.

    A step is planned when its turn comes, since steps before it may have changed what it reads.

    Args:
        arguments: for one data date.
        jobs: names of steps; None: those of the night.
    """
    project = Project(arguments)
    require_readable(project)
    if jobs is None:
        require_sources(project)
    done: list[PlannedStep] = []
    for name in jobs or steps_of_night(project):
        step = _next_step(arguments, name)
        if step.dates:
            all_jobs()[name](for_dates(arguments, name, step.dates))
        done.append(step)
    return done


def run_step(arguments: Arguments, name: str) -> list[PlannedStep]:
    """Run one step of a night by itself: what a scheduler does, one task per step.

    Raises:
        ConfigError: a range of data dates.
    """
    one_date(arguments.span, "--night-step")
    steps = steps_of_night(Project(arguments))
    return run_night(arguments, [name]) if name in steps else []


def run_history(arguments: Arguments) -> list[PlannedStep]:
    """Run the steps that take a range over a range of data dates, one pass each.

    Examples begin where both the configuration and the features of the day before allow it.
    """
    project = Project(arguments)
    require_readable(project)
    require_sources(project)
    done: list[PlannedStep] = []
    for name in data_steps():
        step = _range_step(arguments, name)
        if step.dates:
            all_jobs()[name](for_dates(arguments, name, step.dates))
        done.append(step)
    return done


def run_nights(arguments: Arguments) -> list[PlannedStep]:
    """Run whole nights of a range of data dates, one after another; all source files must be there."""
    require_sources(Project(arguments))
    dates = date_range(arguments.first, arguments.last)
    return [step for day in dates for step in run_night(replace(arguments, first=day, last=day))]


def for_dates(arguments: Arguments, name: str, dates: Sequence[date]) -> Arguments:
    """Return the arguments of one step: its dates, and no model where the champion decides."""
    model = arguments.model if all_jobs()[name].is_per_model else None
    return replace(arguments, first=dates[0], last=dates[-1], model=model)


def _next_step(arguments: Arguments, name: str) -> PlannedStep:
    """Plan one step of a night; one that takes a range also covers earlier dates with late rows."""
    project = Project(arguments)
    if first_date_of(project, name) > arguments.last:
        return PlannedStep(name, (), "no data date that it can be built for")
    return _with_repairs(project, name, project.dates)


def _range_step(arguments: Arguments, name: str) -> PlannedStep:
    """Plan one step of a history: the dates that need it, from the first that it can be built for."""
    project = Project(arguments)
    dates = [day for day in project.dates if day >= first_date_of(project, name)]
    if not dates:
        return PlannedStep(name, (), "no data date that it can be built for")
    return _with_repairs(project, name, dates)


def _with_repairs(project: Project, name: str, dates: Sequence[date]) -> PlannedStep:
    """Plan one step, with the dates before that it has to repair if it takes a range."""
    planner = Planner(project, dates, [name])
    step = planner.step(name, dates)
    late = _late(planner, name, dates[0]) if covers_range(name) else {}
    if late and name == "ingest":
        span = span_of(min(late), max(late))
        log.info(f"{span}: files have changed or brought late rows; these data dates are repaired")
    return _with_late(step, late, dates[-1])


def _late(planner: Planner, name: str, first: date) -> dict[date, Reason]:
    return planner.late_dates(name, first, first_date_of(planner.project, name, EARLIEST))


def _with_late(step: PlannedStep, late: Mapping[date, Reason], last: date) -> PlannedStep:
    """Return a step that begins with the first date to repair: what follows it is made of it."""
    if not late:
        return step
    why = "; ".join(dict.fromkeys(reason.text for reason in late.values()))
    dates = tuple(date_range(min(late), last))
    return PlannedStep(step.job, dates, f"repairs {span_of(min(late), max(late))}: {why}")


def first_date_of(
    project: Project, name: str, begin: date | None = None, planned: Sequence[date] = ()
) -> date:
    """Return the first data date that a step can be built for, as the jobs that it needs were built.

    Args:
        project: asked for some data dates.
        name: of the step.
        begin: do not look before it; None: the first date that was asked for.
        planned: data dates for which `build_features` will have run.
    """
    first = project.arguments.first if begin is None else begin
    if not any(read.needs_day_before(project.config, first) for read in all_jobs()[name].reads):
        return first
    built = sorted([*project.store.data_dates("user_features"), *planned])
    begun = [date.fromordinal(built[0].toordinal() + 1)] if built else []
    return max([first, project.config.training.first_data_date, *begun])
