"""`lamplighter night`, `history` and `plan`."""

import logging
from collections.abc import Sequence
from typing import Annotated

import typer

from core.errors import ConfigError
from core.load import DEFAULT_DATASET
from jobs.cli.backfilling import To, dates_asked, print_plan
from jobs.cli.sheets import sheet
from jobs.runtime.arguments import one_date, parse_dates
from jobs.runtime.backfill import plan_backfill
from jobs.runtime.command import (
    AllowEmpty,
    DataDate,
    DataDates,
    Dataset,
    Env,
    ModelName,
    ProjectFolder,
    Settings,
    arguments_for,
    exit_codes,
)
from jobs.runtime.logs import CONSOLE
from jobs.runtime.night import plan_history, plan_night, run_history, run_night, run_nights
from jobs.runtime.plan import PlannedStep

log = logging.getLogger("lamplighter")

Nights = Annotated[bool, typer.Option("--nights", help="Whole nights, one after another.")]


def night(
    data_date: DataDate,
    dataset: Dataset = DEFAULT_DATASET,
    env: Env = "local",
    settings: Settings = [],  # noqa: B006  # typer reads the default, nobody writes to it
    model: ModelName = "",
    allow_empty: AllowEmpty = False,
    project: ProjectFolder = "",
) -> None:
    """Run a night in one session, from the first unfinished step on."""
    with exit_codes():
        day = one_date(data_date, "night")
        values = {"dataset": dataset, "env": env, "settings": settings, "project": project}
        arguments = arguments_for(day, day, model=model, allow_empty=allow_empty, **values)
        _say_if_nothing_ran(data_date, run_night(arguments))


def history(
    data_date: DataDates,
    dataset: Dataset = DEFAULT_DATASET,
    env: Env = "local",
    settings: Settings = [],  # noqa: B006  # as above
    model: ModelName = "",
    nights: Nights = False,
    allow_empty: AllowEmpty = False,
    project: ProjectFolder = "",
) -> None:
    """Run the steps that take a range over many data dates, one pass each; with --nights, whole nights."""
    with exit_codes():
        first, last = parse_dates(data_date)
        if model and not nights:
            raise ConfigError("--model is for whole nights; add --nights, or leave it out")
        values = {"dataset": dataset, "env": env, "settings": settings, "project": project}
        arguments = arguments_for(first, last, model=model, allow_empty=allow_empty, **values)
        _say_if_nothing_ran(data_date, run_nights(arguments) if nights else run_history(arguments))


def plan(
    data_date: Annotated[
        str, typer.Option("--data-date", metavar="D|A..B", help="A night; of a range, a history.")
    ] = "",
    first: Annotated[
        str, typer.Option("--from", metavar="D", help="A backfill: everything out of date since then.")
    ] = "",
    last: To = "",
    dataset: Dataset = DEFAULT_DATASET,
    env: Env = "local",
    settings: Settings = [],  # noqa: B006  # as above
    model: ModelName = "",
    allow_empty: AllowEmpty = False,
    project: ProjectFolder = "",
) -> None:
    """Print what a night, a history or a backfill would run, and which file or key is the reason."""
    with exit_codes():
        if bool(data_date) == bool(first) or (last and not first):
            raise ConfigError("plan: expected --data-date, or --from with or without --to")
        values = {"dataset": dataset, "env": env, "settings": settings, "project": project}
        if first:
            asked = dates_asked(first, last, model=model, allow_empty=allow_empty, **values)
            print_plan(plan_backfill(asked), asked)
            return
        begin, end = parse_dates(data_date)
        if model and begin != end:
            raise ConfigError("--model is for a night, and a range is planned as a history; leave it out")
        arguments = arguments_for(begin, end, model=model, allow_empty=allow_empty, **values)
        steps = plan_night(arguments) if begin == end else plan_history(arguments)
        table = sheet("step", "runs", "why")
        for step in steps:
            table.add_row(step.job, step.span or "no", step.why)
        CONSOLE.print(table)


def _say_if_nothing_ran(data_date: str, steps: Sequence[PlannedStep]) -> None:
    if not any(step.dates for step in steps):
        log.info(f"{data_date}: every step is up to date")
