"""Plain lines on the console; everything, with context and stack traces, as JSON lines in a file."""

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import MappingProxyType

from rich.console import Console

from core.errors import ConfigError
from core.load import default_project, is_project
from core.paths import local_path, resolve_uri

CONSOLE = Console(markup=False, width=None if sys.stdout.isatty() else 160)
NO_CONTEXT: Mapping[str, str] = MappingProxyType({})
_CONTEXT: ContextVar[Mapping[str, str]] = ContextVar("log_context", default=NO_CONTEXT)
log = logging.getLogger("lamplighter")


@contextmanager
def log_context(**values: str) -> Iterator[None]:
    """Add names and values, such as run_id and data_date, to every line that is logged inside."""
    token = _CONTEXT.set({**_CONTEXT.get(), **values})
    try:
        yield
    finally:
        _CONTEXT.reset(token)


def set_up_logging(folder: Path | None = None) -> None:
    """Send `lamplighter` to the console (INFO) and to a log file (DEBUG); the second call does nothing.

    Warnings of libraries go to the file alone.

    The file is `lamplighter.log` in the folder that LAMPLIGHTER_LOGS names, else in `folder`, else in `logs`
    of the project; outside of a project there is none. If it cannot be written, or is a URI of a scheme that
    is not supported, one warning says so and the work continues without it.
    """
    if any(isinstance(handler, ConsoleHandler) for handler in log.handlers):
        return
    log.setLevel(logging.DEBUG)
    log.propagate = False
    log.addHandler(ConsoleHandler(logging.INFO))
    libraries = logging.getLogger()
    if (
        not libraries.handlers
    ):  # warnings of libraries (Py4J prints stack traces) are for the file, if there is one
        libraries.addHandler(logging.NullHandler())
    if folder is None and is_project(project := default_project()):
        folder = project / "logs"
    if place := os.environ.get("LAMPLIGHTER_LOGS") or folder:
        _open_file(str(place))


def log_into(project: Path) -> None:
    """Send what follows to `logs` of another project, unless LAMPLIGHTER_LOGS names a folder.

    Does nothing for a folder that is no project, and before `set_up_logging`.
    """
    is_set_up = any(isinstance(handler, ConsoleHandler) for handler in log.handlers)
    if os.environ.get("LAMPLIGHTER_LOGS") or not is_set_up or not (project / "conf").is_dir():
        return
    for handler in [handler for handler in log.handlers if isinstance(handler, LogFile)]:
        handler.remove()
    _open_file(str(project / "logs"))


def _open_file(place: str) -> None:
    try:
        into = local_path(resolve_uri(place, Path.cwd(), "LAMPLIGHTER_LOGS"))
        into.mkdir(parents=True, exist_ok=True)
        file = LogFile(into / "lamplighter.log", maxBytes=10_000_000, backupCount=3, delay=True)
    except (OSError, ConfigError) as error:
        _warn_of(place, error)
        return
    file.setFormatter(JsonLines())
    for logger in (log, logging.getLogger()):
        logger.addHandler(file)


class ConsoleHandler(logging.Handler):
    """Lines on the console as they are; above a progress bar, if one is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line."""
        CONSOLE.print(record.getMessage(), markup=False, highlight=False, soft_wrap=True)


class JsonLines(logging.Formatter):
    """One JSON object per record: time, level, logger, pid, the values of `log_context`, message, stack."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "pid": record.process,
            **_CONTEXT.get(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["stack"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class LogFile(RotatingFileHandler):
    """A log file that is given up with one warning when it can no longer be written."""

    def remove(self) -> None:
        """Take the file from the loggers."""
        for logger in (log, logging.getLogger()):
            logger.removeHandler(self)
        self.close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the name is logging's
        """Remove the file from the logger instead of printing a stack trace per line."""
        self.remove()
        error = sys.exc_info()[1]
        if error is not None:
            _warn_of(str(Path(self.baseFilename).parent), error)


def _warn_of(folder: str, error: BaseException) -> None:
    reason = getattr(error, "strerror", None) or str(error)
    log.warning(
        f"logs: {folder} cannot be written ({reason}); continuing without a log file; "
        "set LAMPLIGHTER_LOGS to another folder"
    )
