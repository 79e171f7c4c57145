"""`lamplighter split`: a log in one file, written per data date."""

from pathlib import Path
from typing import Annotated
from zoneinfo import available_timezones

import typer

from core.errors import ConfigError
from jobs.cli.flags import Flags
from jobs.cli.generating import DATASET
from jobs.runtime.command import Env, ProjectFolder, Settings, exit_codes
from jobs.runtime.logs import CONSOLE


def split(
    files: Annotated[str, typer.Argument(metavar="FILES", help="A file, a folder or a glob.")],
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Where to write; must not exist.")],
    time_zone: Annotated[str, typer.Option(metavar="ZONE", help="In which data dates begin.")] = "UTC",
    time: Annotated[str, typer.Option(metavar="COLUMN", help="Times of events. Default: guessed.")] = "",
    env: Env = "local",
    settings: Settings = [],  # noqa: B006  # typer reads the default, nobody writes to it
    project: ProjectFolder = "",
) -> None:
    """Write a log whose files have no dates in their names as Parquet, a folder per data date."""
    with exit_codes():
        from jobs.onboarding.splitting import split_log

        if time_zone not in available_timezones():
            raise ConfigError(f"--time-zone {time_zone}: unknown; expected a name such as Europe/Berlin")
        spark = Flags(DATASET, env, settings, project).opened().spark
        done = split_log(spark, files, Path(folder).expanduser().absolute(), time_zone, time or None)
        for text in (
            f"wrote {folder}: {done.rows:,} rows of {done.dates:,} dates, {done.first} .. {done.last}",
            f"time: {done.time}",
            f"{done.undated:,} rows have no readable time; they are with those of {done.last}",
            f"next: lamplighter init PROJECT --events {folder}",
        ):
            CONSOLE.print(text, markup=False, highlight=False, soft_wrap=True)
