"""`lamplighter backfill`, and `lamplighter plan --from`: what late and corrected data make again."""

import logging
from collections.abc import Sequence
from typing import Annotated

import typer

from core.errors import ConfigError
from jobs.cli.flags import Flags, with_flags
from jobs.cli.sheets import sheet
from jobs.runtime.arguments import Arguments, parse_dates, span_of
from jobs.runtime.backfill import BackfillPlan, Redo, run_backfill, up_to_newest
from jobs.runtime.command import AllowEmpty
from jobs.runtime.logs import CONSOLE

log = logging.getLogger("lamplighter")

From = Annotated[str, typer.Option("--from", metavar="D", help="First data date to look at.")]
To = Annotated[
    str, typer.Option("--to", metavar="D", help="Last data date. Default: the newest that was ingested.")
]
Rescore = Annotated[
    bool,
    typer.Option("--rescore", help="Also make published lists of these dates again, by their champions."),
]


@with_flags
def backfill(
    flags: Flags,
    first: From,
    last: To = "",
    rescore: Rescore = False,
    allow_empty: AllowEmpty = False,
) -> None:
    """Run what late, corrected, withdrawn or re-admitted rows (or code) made out of date, oldest first."""
    asked = dates_asked(flags, first, last, allow_empty=allow_empty)
    if not any(step.dates for step in run_backfill(asked, rescore)):
        log.info(f"{asked.span}: every step is up to date")


def dates_asked(flags: Flags, first: str, last: str, **more: object) -> Arguments:
    """Return arguments of the dates of `--from` and `--to`.

    Raises:
        ConfigError: no date, a range, or nothing was built since.
    """
    (begin, end), until = parse_dates(first, "--from"), parse_dates(last or first, "--to")
    to = f" --to {last}" if last else ""
    if begin != end or until[0] != until[1]:
        raise ConfigError(f"--from {first}{to}: each takes one data date, not a range")
    if until[1] < begin:
        raise ConfigError(f"--from {first}{to} runs backwards; expected the earlier date first")
    asked = flags.arguments(begin, until[1], **more)
    return asked if last else up_to_newest(asked)


def print_plan(found: BackfillPlan, asked: Arguments) -> None:
    """Print the steps in order, apart from them what later jobs would do, and the sum."""
    if not found.steps:
        CONSOLE.print(f"{asked.span}: every step up to examples is up to date", highlight=False)
    else:
        CONSOLE.print(_sheet(found.steps))
        rows, seconds = sum(step.rows for step in found.steps), sum(step.seconds for step in found.steps)
        runs = sum(found.runs.get(job, 0) for job in {step.job for step in found.steps})
        text = (
            f"about {rows:,.0f} rows and {seconds:,.0f} s, estimated from {runs} runs of these jobs in the "
            "ledger: rows as the newest run of a date wrote them, seconds by a line through seconds and "
            "number of data dates of the runs"
        )
        CONSOLE.print(text, highlight=False)
    if found.later:
        CONSOLE.print("\nWhat later jobs have made stays; lists are made again by `backfill --rescore`:")
        CONSOLE.print(_sheet(found.later))
    for notice in found.notices:
        log.warning(notice)


def _sheet(steps: Sequence[Redo]) -> object:
    table = sheet("step", "data date", "rows", "seconds", "why")
    for step in steps:
        day = span_of(step.data_date, step.data_date)
        table.add_row(step.job, day, f"{step.rows:,.0f}", f"{step.seconds:,.1f}", step.why)
    return table
