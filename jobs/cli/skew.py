"""`lamplighter skew`: the heaviest users and items of log files, before a backfill meets them."""

from typing import Annotated

import typer

from core.config_model import ENTITIES
from features.events import to_events
from features.heavy_keys import to_heaviest_keys
from jobs.cli.flags import Flags, with_flags
from jobs.cli.sheets import sheet
from jobs.runtime.arguments import parse_dates
from jobs.runtime.command import AllowEmpty, DataDates
from jobs.runtime.logs import CONSOLE
from jobs.runtime.project import Project
from jobs.tables.raw import read_log
from quality.verdicts import percent


@with_flags
def skew(
    flags: Flags,
    data_date: DataDates,
    most: Annotated[int, typer.Option(min=1, metavar="N", help="Users, and items, that are shown.")] = 5,
    allow_empty: AllowEmpty = False,
) -> None:
    """Print the users and items with most rows in the log files of some data dates."""
    first, last = parse_dates(data_date)
    found = Project(flags.arguments(first, last, allow_empty=allow_empty))
    files = [file for day in found.dates for file in found.sources.require_log_files(day, allow_empty)]
    raw = read_log(found.spark, found.config.source.events, files, found.sources.log.columns)
    ids = to_events(raw, found.config).select(*(f"{entity}_id" for entity in ENTITIES))
    table = sheet("key", "id", "rows", "share of all rows", "times the mean")
    for entity in ENTITIES:
        for row in to_heaviest_keys(ids, f"{entity}_id", most).collect():
            shown = "none: goes to quarantine" if row["id"] is None else row["id"]
            table.add_row(
                entity, shown, f"{row['rows']:,}", percent(row["share"]), f"{row['times_mean']:,.1f}"
            )
    CONSOLE.print(table)
