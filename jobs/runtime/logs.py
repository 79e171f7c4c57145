"""One line an event on the console; everything, with stack traces, in a log file."""

import logging
import os
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

from rich.console import Console

from core.load import resolve_path

CONSOLE = Console(width=None if sys.stdout.isatty() else 160)


class ConsoleHandler(logging.Handler):
    """Lines on the console as they are; above a progress bar, if one is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line."""
        CONSOLE.print(self.format(record), markup=False, highlight=False, soft_wrap=True)


def set_up_logging() -> None:
    """Send `lamplighter` to the console (INFO) and to a log file (DEBUG); safe to call twice.

    The file is `<folder>/lamplighter.log`, folder = LAMPLIGHTER_LOGS or `logs` in the project.
    """
    root = logging.getLogger("lamplighter")
    if root.handlers:
        return
    root.setLevel(logging.DEBUG)
    root.propagate = False
    console = ConsoleHandler(logging.INFO)
    root.addHandler(console)
    folder = Path(os.environ.get("LAMPLIGHTER_LOGS", resolve_path("logs")))
    folder.mkdir(parents=True, exist_ok=True)
    file = RotatingFileHandler(folder / "lamplighter.log", maxBytes=10_000_000, backupCount=3, delay=True)
    file.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
    root.addHandler(file)
