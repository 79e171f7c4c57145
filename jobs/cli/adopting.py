"""`lamplighter adopt`: keep what older code made, if newer code makes the same."""

import logging
from typing import Annotated

import typer

from core.errors import LamplighterError
from jobs.cli.flags import Flags, with_flags
from jobs.runtime.adopt import adopt as adopt_code
from jobs.runtime.command import ModelName

log = logging.getLogger("lamplighter")


@with_flags
def adopt(
    flags: Flags,
    job: Annotated[str, typer.Argument(metavar="JOB", help="Name of a job whose code has changed.")],
    model: ModelName = "",
) -> None:
    """Compute two data dates anew with changed code; if they are equal, keep what the older code made."""
    found = adopt_code(job, flags.arguments(model=model))
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
