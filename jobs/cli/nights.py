"""`lamplighter night`, `history` and `plan`."""

import logging
from collections.abc import Sequence
from typing import Annotated

import typer

from core.errors import ConfigError
from jobs.cli.backfilling import To, dates_asked, print_plan
from jobs.cli.flags import Flags, with_flags
from jobs.cli.sheets import sheet
from jobs.runtime.arguments import one_date, parse_dates
from jobs.runtime.backfill import plan_backfill
from jobs.runtime.command import AllowEmpty, DataDate, DataDates, ModelName
from jobs.runtime.logs import CONSOLE
from jobs.runtime.night import plan_history, plan_night, run_history, run_night, run_nights
from jobs.runtime.plan import PlannedStep

log = logging.getLogger("lamplighter")

Nights = Annotated[bool, typer.Option("--nights", help="Whole nights, one after another.")]


@with_flags
def night(
    flags: Flags,
    data_date: DataDate,
    model: ModelName = "",
    allow_empty: AllowEmpty = False,
) -> None:
    """Run a night in one session, from the first unfinished step on."""
    day = one_date(data_date, "night")
    arguments = flags.arguments(day, day, model=model, allow_empty=allow_empty)
    _say_if_nothing_ran(data_date, run_night(arguments))


@with_flags
def history(
    flags: Flags,
    data_date: DataDates,
    model: ModelName = "",
    nights: Nights = False,
    allow_empty: AllowEmpty = False,
) -> None:
    """Run the steps that take a range over many data dates, one pass each; with --nights, whole nights."""
    first, last = parse_dates(data_date)
    if model and not nights:
        raise ConfigError("--model is for whole nights; add --nights, or leave it out")
    arguments = flags.arguments(first, last, model=model, allow_empty=allow_empty)
    _say_if_nothing_ran(data_date, run_nights(arguments) if nights else run_history(arguments))


@with_flags
def plan(
    flags: Flags,
    data_date: Annotated[
        str, typer.Option("--data-date", metavar="D|A..B", help="A night; of a range, a history.")
    ] = "",
    first: Annotated[
        str, typer.Option("--from", metavar="D", help="A backfill: everything out of date since then.")
    ] = "",
    last: To = "",
    model: ModelName = "",
    allow_empty: AllowEmpty = False,
) -> None:
    """Print what a night, a history or a backfill would run, and which file or key is the reason."""
    if bool(data_date) == bool(first) or (last and not first):
        raise ConfigError("plan: expected --data-date, or --from with or without --to")
    if first:
        asked = dates_asked(flags, first, last, model=model, allow_empty=allow_empty)
        print_plan(plan_backfill(asked), asked)
        return
    begin, end = parse_dates(data_date)
    if model and begin != end:
        raise ConfigError("--model is for a night, and a range is planned as a history; leave it out")
    arguments = flags.arguments(begin, end, model=model, allow_empty=allow_empty)
    steps = plan_night(arguments) if begin == end else plan_history(arguments)
    table = sheet("step", "runs", "why")
    for step in steps:
        table.add_row(step.job, step.span or "no", step.why)
    CONSOLE.print(table)


def _say_if_nothing_ran(data_date: str, steps: Sequence[PlannedStep]) -> None:
    if not any(step.dates for step in steps):
        log.info(f"{data_date}: every step is up to date")
