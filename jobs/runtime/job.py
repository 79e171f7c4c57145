"""What makes a function a job: the flags, the run around it, the exit code.

The same program three ways: `spark-submit jobs/NAME.py`, `lamplighter NAME`, a step of a night.
"""

import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import psutil
import typer

from core.errors import LamplighterError
from core.load import DEFAULT_DATASET
from jobs.runtime.arguments import Arguments, parse_dates
from jobs.runtime.logs import CONSOLE, set_up_logging
from jobs.runtime.progress import step_line
from jobs.runtime.run import Run, open_run

log = logging.getLogger("lamplighter")

DataDate = Annotated[
    str, typer.Option("--data-date", help="Day, or range A..B, in the data set's time zone.")
]
Dataset = Annotated[str, typer.Option(help="A file of conf/datasets.")]
Where = Annotated[str, typer.Option(help="A file of conf: local, cluster.")]
Settings = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override one setting.")]
ModelName = Annotated[str, typer.Option("--model", help="A file of conf/models.")]
AllowEmpty = Annotated[bool, typer.Option("--allow-empty", help="Go on without events of the date.")]


@dataclass(frozen=True)
class JobProgram:
    """One job: its name, its outline, and its command line."""

    name: str
    outline: Callable[[Run], None]

    def __call__(self, arguments: Arguments) -> Run:
        """Run it once, with its line in the ledger and one line of output.

        Raises:
            LamplighterError: with job, data date, what was wrong and what to do.
        """
        with open_run(self.name, arguments) as run:
            self.outline(run)
        log.info(step_line(run))
        return run

    def command(
        self,
        data_date: DataDate,
        dataset: Dataset = DEFAULT_DATASET,
        where: Where = "local",
        settings: Settings = [],  # noqa: B006  # typer reads the default, nobody writes to it
        model: ModelName = "",
        allow_empty: AllowEmpty = False,
    ) -> None:
        """Parse the flags and run."""
        set_up_logging()
        with exit_codes():
            first, last = parse_dates(data_date)
            self(Arguments(first, last, dataset, where, tuple(settings), model or None, allow_empty))

    def main(self) -> None:
        """Entry point of `spark-submit jobs/NAME.py`."""
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command(name=self.name, help=self.outline.__doc__)(self.command)
        app()


def job(outline: Callable[[Run], None]) -> JobProgram:
    """Make a job of its outline; the function's name is the job's."""
    return JobProgram(outline.__name__, outline)


class exit_codes:  # noqa: N801  # reads as a statement: with exit_codes()
    """Turn an error into one line and its exit code; the stack trace goes to the log file.

    Ctrl-C ends the process at once, with 130: as after kill -9, running again repairs everything.
    """

    def __enter__(self) -> None:
        signal.signal(signal.SIGINT, _end_at_once)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, SystemExit):
            return
        log.debug("".join(traceback.format_exception(error)))
        if isinstance(error, LamplighterError):
            log.error(str(error))
            sys.exit(error.exit_code)
        text = str(error).strip()
        reason = text.splitlines()[0] if text else ""
        log.error(f"{type(error).__name__}: {reason}; unexpected: the stack trace is in the log file")
        sys.exit(1)


def _end_at_once(*_: object) -> None:
    """End without asking anything of Spark, which may still owe the answer to an earlier question."""
    for child in psutil.Process().children():  # the JVM would go on for a moment, and complain
        child.kill()
    log.error("interrupted; the same command goes on with the first unfinished step")
    CONSOLE.show_cursor()  # a progress bar may have hidden it
    logging.shutdown()
    os._exit(128 + signal.SIGINT)
