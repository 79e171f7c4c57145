"""`lamplighter generate` and `lamplighter skew`: a log to measure on, and what is heavy in a log."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from core.errors import ConfigError
from jobs.cli.flags import Flags
from jobs.cli.sheets import sheet
from jobs.runtime.command import Env, ProjectFolder, Settings, exit_codes
from jobs.runtime.logs import CONSOLE
from jobs.runtime.synthetic_log import Truth
from jobs.runtime.synthetic_log import generate as generate_log
from jobs.workers.synthetic.spec import LogSpec

DATASET = "synthetic"


def generate(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Where the log is written.")],
    events_per_day: Annotated[int, typer.Option(metavar="N", help="The mean, once all users have joined.")],
    days: Annotated[int, typer.Option(metavar="D", help="Data dates.")],
    users: Annotated[int, typer.Option(metavar="U", help="Users.")],
    items: Annotated[int, typer.Option(metavar="I", help="Items.")],
    seed: Annotated[int, typer.Option(metavar="S", help="The same seed and flags: the same files.")],
    first_date: Annotated[str, typer.Option(metavar="D", help="First data date.")] = "2024-02-01",
    time_zone: Annotated[str, typer.Option(metavar="ZONE", help="In which data dates begin.")] = "UTC",
    per_active_day: Annotated[int, typer.Option(metavar="N", help="Events of a user on an active day.")] = 5,
    new_users: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of all users that join on each date.")
    ] = 0.0,
    hot_item: Annotated[float, typer.Option(metavar="SHARE", help="Share of events of item 0.")] = 0.0,
    late: Annotated[float, typer.Option(metavar="SHARE", help="Share of rows 1 to 3 days late.")] = 0.0,
    duplicates: Annotated[float, typer.Option(metavar="SHARE", help="Share of rows that stand twice.")] = 0.0,
    broken: Annotated[float, typer.Option(metavar="SHARE", help="Share of rows with a wrong value.")] = 0.0,
    env: Env = "local",
    settings: Settings = [],  # noqa: B006  # typer reads the default, nobody writes to it
    project: ProjectFolder = "",
) -> None:
    """Write a synthetic log with known truth, of any size: the data set `synthetic`."""
    with exit_codes():
        spec = spec_of(
            events_per_day=events_per_day,
            days=days,
            users=users,
            items=items,
            seed=seed,
            first_date=first_date,
            time_zone=time_zone,
            per_active_day=per_active_day,
            new_users=new_users,
            hot_item=hot_item,
            late=late,
            duplicates=duplicates,
            broken=broken,
        )
        found = Flags(DATASET, env, settings, project).opened()
        truth = generate_log(found.spark, spec, Path(folder).resolve())
        CONSOLE.print(truth_sheet(truth))


def spec_of(**values: Any) -> LogSpec:
    """Return the log that flags ask for.

    Raises:
        ConfigError: a value is out of range, or two do not fit together.
    """
    try:
        return LogSpec(**values)
    except ValidationError as error:
        faults = [
            f"--{str(fault['loc'][0]).replace('_', '-')}: {fault['msg']}, found {fault['input']}"
            if fault["loc"]
            else fault["msg"].removeprefix("Value error, ")
            for fault in error.errors()
        ]
        raise ConfigError(f"generate: {'; '.join(faults)}") from error


def truth_sheet(truth: Truth) -> Any:
    """Return the rows of all data dates, by what `ingest` must make of them."""
    names = [*next(iter(truth.values()))]
    table = sheet("data dates", *names)
    dates = sorted(map(date.fromisoformat, truth))
    sums = [str(sum(rows[name] for rows in truth.values())) for name in names]
    table.add_row(f"{dates[0]}..{dates[-1]}", *sums)
    return table
