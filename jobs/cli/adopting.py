"""`lamplighter adopt`: keep what older code made, if newer code makes the same."""

import logging
from typing import Annotated

import typer

from core.errors import LamplighterError
from core.load import DEFAULT_DATASET
from jobs.runtime.adopt import adopt as adopt_code
from jobs.runtime.arguments import LATEST
from jobs.runtime.command import (
    Dataset,
    Env,
    ModelName,
    ProjectFolder,
    Settings,
    arguments_for,
    exit_codes,
)

log = logging.getLogger("lamplighter")


def adopt(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Name of a job whose code has changed.")],
    dataset: Dataset = DEFAULT_DATASET,
    env: Env = "local",
    settings: Settings = [],  # noqa: B006  # typer reads the default, nobody writes to it
    model: ModelName = "",
    project: ProjectFolder = "",
) -> None:
    """Compute two data dates anew with changed code; if they are equal, keep what the older code made."""
    with exit_codes():
        values = {"dataset": dataset, "env": env, "settings": settings, "project": project}
        found = adopt_code(job, arguments_for(LATEST, LATEST, model=model, **values))
        if not found.is_new:
            log.info(f"{job}: nothing to adopt; the newest run is of this code")
            return
        dates = " and ".join(map(str, found.dates))
        if found.differences:
            text = "; ".join(map(str, found.differences))
            raise LamplighterError(
                f"adopt {job}: the new code makes other rows of {dates}: {text}; nothing was recorded. "
                f"Run `lamplighter plan` to see what is to be made again"
            )
        only = " (there is no second data date to compare)" if len(found.dates) == 1 else ""
        log.info(f"{job}: {dates} computed anew and equal{only}; what older code made stays up to date")
