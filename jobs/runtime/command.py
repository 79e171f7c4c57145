"""Command lines: every job by its declaration, and what all commands do with errors and interrupts."""

import inspect
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer

from core.errors import LamplighterError
from core.load import DEFAULT_DATASET
from core.paths import local_path, resolve_uri
from jobs.runtime.arguments import Arguments, one_date, parse_dates
from jobs.runtime.job import RANGE, Job
from jobs.runtime.logs import CONSOLE, log_into, set_up_logging
from jobs.runtime.night import run_step
from jobs.runtime.pipeline import all_jobs
from jobs.tables.faults import explain

log = logging.getLogger("lamplighter")

DataDate = Annotated[
    str, typer.Option("--data-date", metavar="D", help="Data date, in the data set's time zone.")
]
DataDates = Annotated[
    str,
    typer.Option("--data-date", metavar="D|A..B", help="Data date or range, in the data set's time zone."),
]
Dataset = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="A file of conf/datasets. Default: the only one; of several, kuairand.",
        show_default=False,
    ),
]
Env = Annotated[str, typer.Option(metavar="NAME", help="A file of conf: local, cluster.")]
Settings = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override one setting.")]
ModelName = Annotated[str, typer.Option("--model", metavar="NAME", help="A file of conf/models.")]
AllowEmpty = Annotated[bool, typer.Option("--allow-empty", help="Accept a data date without events.")]
NightStep = Annotated[
    bool,
    typer.Option(
        "--night-step",
        help="Only what is out of date, earlier data dates with late rows included: as a step of a night.",
    ),
]
ProjectFolder = Annotated[
    str,
    typer.Option(
        "--project",
        metavar="DIR",
        help="Folder of the project. Default: this one, if it holds conf/base.yaml, else that of the code.",
    ),
]
FLAGS: dict[str, tuple[Any, Any]] = {"model": (ModelName, ""), "allow_empty": (AllowEmpty, False)}
"""Flags that only some jobs take: name -> type and default."""


def command_of(job: Job) -> Callable[..., None]:
    """Return the function that typer makes the command line of a job from: the flags that it declares."""
    kinds: dict[str, tuple[Any, Any]] = {
        "data_date": (DataDates if job.dates is RANGE else DataDate, inspect.Parameter.empty),
        "dataset": (Dataset, DEFAULT_DATASET),
        "env": (Env, "local"),
        "settings": (Settings, []),
        "project": (ProjectFolder, ""),
        "night_step": (NightStep, False),
        **{flag: FLAGS[flag] for flag in job.flags},
    }

    def command(night_step: bool, **values: Any) -> None:
        with exit_codes():
            arguments = arguments_of(job, **values)
            if not night_step:
                job(arguments)
            elif not any(step.dates for step in run_step(arguments, job.name)):
                log.info(f"{arguments.span:<24} {job.name:<15} up to date")

    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for name, (kind, default) in kinds.items()
        ]
    )
    command.__annotations__ = {name: kind for name, (kind, _) in kinds.items()} | {"return": None}
    return command


def arguments_of(job: Job, data_date: str, **values: Any) -> Arguments:
    """Return the values of a job's flags, checked.

    Raises:
        ConfigError: no date, or a range for a job that takes one date.
    """
    if job.dates is RANGE:
        first, last = parse_dates(data_date)
    else:
        first = last = one_date(data_date, job.name)
    return arguments_for(first, last, **values)


def arguments_for(first: Any, last: Any, **values: Any) -> Arguments:
    """Return arguments from the values of flags as typer gives them.

    Raises:
        ConfigError: the project's folder is a URI, and not of this machine.
    """
    project = values.pop("project", "")
    settings = tuple(values.pop("settings", ()))
    model = values.pop("model", "") or None
    folder = local_path(resolve_uri(project, Path.cwd(), "--project")).resolve() if project else None
    if folder is not None:
        log_into(folder)
    return Arguments(first, last, settings=settings, model=model, project=folder, **values)


def main_of_job(name: str) -> None:
    """Run one job as a program."""
    job = all_jobs()[name]
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(name=name, help=job.outline.__doc__)(command_of(job))
    app()


class exit_codes:  # noqa: N801  # reads as a statement: with exit_codes()
    """Turn an error into one line and its exit code; the stack trace goes to the log file.

    Ctrl-C ends the process at once, with 130: as after kill -9, running again repairs everything.
    """

    def __enter__(self) -> None:
        set_up_logging()
        signal.signal(signal.SIGINT, _end_at_once)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, SystemExit):
            return
        log.debug("".join(traceback.format_exception(error)))
        known = error if isinstance(error, LamplighterError) else explain(error)
        if known is not None:
            log.error(str(known))
            sys.exit(known.exit_code)
        text = str(error).strip()
        reason = text.splitlines()[0] if text else ""
        log.error(f"{type(error).__name__}: {reason}; unexpected: the stack trace is in the log file")
        sys.exit(1)


def _end_at_once(*_: object) -> None:
    """End without asking anything of Spark, which may still owe the answer to an earlier question."""
    for child in psutil.Process().children():  # the JVM would continue for a moment, and complain
        child.kill()
    log.error("interrupted; the same command resumes with the first unfinished step")
    CONSOLE.show_cursor()  # a progress bar may have hidden it
    logging.shutdown()
    os._exit(128 + signal.SIGINT)
