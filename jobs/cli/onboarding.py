"""`lamplighter init`, `validate` and `test`: a data set of one's own."""

import logging
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from core.errors import ConfigError
from core.load import load_config, read_layers
from jobs.cli.flags import Flags, with_flags
from jobs.cli.sheets import sheet
from jobs.runtime.arguments import LATEST, one_date
from jobs.runtime.command import ProjectFolder, arguments_for, exit_codes
from jobs.runtime.logs import CONSOLE
from jobs.runtime.project import Project

log = logging.getLogger("lamplighter")

Files = "a file, a folder, a glob, or a path with {data_date}"


def init(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Folder to write; new or empty.")],
    events: Annotated[str, typer.Option("--events", metavar="PATH", help=f"The log: {Files}.")],
    users: Annotated[str, typer.Option("--users", metavar="PATH", help="Attributes of users.")] = "",
    items: Annotated[str, typer.Option("--items", metavar="PATH", help="Attributes of items.")] = "",
) -> None:
    """Look at the files of a log and write a project folder: a first data set, each guess with its reason."""
    with exit_codes():
        from jobs.onboarding.new_project import guess_dataset
        from jobs.onboarding.project_folder import dataset_name, write_project

        place = Path(folder).expanduser().absolute()
        guess = guess_dataset(dataset_name(place), events, users or None, items or None)
        for file in write_project(place, guess):
            CONSOLE.print(f"wrote {file}", markup=False, highlight=False, soft_wrap=True)
        if guess.name != place.name:
            CONSOLE.print(f"the data set is called {guess.name}: names hold letters, digits and _")
        CONSOLE.print(
            f"next: cd {place}; lamplighter validate", markup=False, highlight=False, soft_wrap=True
        )
        try:
            load_config(guess.name, folder=place)
        except ConfigError as error:
            CONSOLE.print(f"before that: {error}", markup=False, highlight=False, soft_wrap=True)


@with_flags
def validate(
    flags: Flags,
    data_date: Annotated[
        str, typer.Option("--data-date", metavar="D", help="Whose log files. Default: the newest.")
    ] = "",
) -> None:
    """Evaluate every expression of a data set over a sample of its files; build nothing."""
    from jobs.onboarding.validation import validate as found_by_validation

    day = one_date(data_date, "validate") if data_date else None
    asked = flags.arguments()
    opened = Project(asked)
    layers = read_layers(asked.dataset, asked.env, asked.model_name, asked.settings, asked.project)
    found = found_by_validation(opened, layers, day)
    table = sheet("key", "from", "values", "null")
    for shown in found.shown:
        table.add_row(*shown)
    CONSOLE.print(table, markup=False, highlight=False)
    for note in found.notes:
        CONSOLE.print(note, markup=False, highlight=False, soft_wrap=True)
    for fault in found.faults:
        log.error(fault)
    if found.faults:
        sys.exit(2)
    log.info(f"{opened.config.dataset}: nothing wrong was found")


def run_tests(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE...]", help="Tests. Default: all of conf/tests.")
    ] = None,
    project: ProjectFolder = "",
) -> None:
    """Run tests of a data set: rows of source files, and what the jobs must make of them."""
    with exit_codes():
        from jobs.onboarding.unit_tests import files_of_tests, run_test

        folder = arguments_for(LATEST, LATEST, project=project).project
        failed = 0
        for file in files_of_tests(folder, files or []):
            started = time.monotonic()
            differences = run_test(file, folder)
            for line in differences:
                CONSOLE.print(line, markup=False, highlight=False, soft_wrap=True)
            failed += bool(differences)
            count = len(differences)
            end = f"{count} difference{'s' if count > 1 else ''}" if differences else "passed"
            log.info(f"{file.name}: {end}, {time.monotonic() - started:.1f} s")
        if failed:
            sys.exit(1)
