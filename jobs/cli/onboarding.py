"""`lamplighter init`: a project for a log that is new here."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.runtime.command import exit_codes
from jobs.runtime.logs import CONSOLE

Files = "a file, a folder, a glob, or a path with {data_date}"


def init(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Folder to write; new or empty.")],
    events: Annotated[str, typer.Option("--events", metavar="PATH", help=f"The log: {Files}.")],
    users: Annotated[str, typer.Option("--users", metavar="PATH", help="Attributes of users.")] = "",
    items: Annotated[str, typer.Option("--items", metavar="PATH", help="Attributes of items.")] = "",
) -> None:
    """Look at the files of a log and write a project folder: a first data set, each guess with its reason."""
    with exit_codes():
        from jobs.onboarding.new_project import dataset_name, guess_dataset, write_project

        place = Path(folder).expanduser().absolute()
        guess = guess_dataset(dataset_name(place), events, users or None, items or None)
        for file in write_project(place, guess):
            CONSOLE.print(f"wrote {file}", markup=False, highlight=False, soft_wrap=True)
        CONSOLE.print(f"next: cd {place}; lamplighter validate", markup=False, highlight=False)
