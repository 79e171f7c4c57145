"""One line an event on the console; everything, with stack traces, in a log file."""

import logging
import os
from logging.handlers import RotatingFileHandler
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler

from conf.load import resolve_path

CONSOLE = Console(stderr=False, soft_wrap=True)


def set_up_logging() -> None:
    """Send `lamplighter` to the console (INFO) and to a log file (DEBUG); safe to call twice.

    The file is `<folder>/lamplighter.log`, folder = LAMPLIGHTER_LOGS or `logs` in the project.
    """
    root = logging.getLogger("lamplighter")
    if root.handlers:
        return
    root.setLevel(logging.DEBUG)
    root.propagate = False
    console = RichHandler(
        console=CONSOLE, show_time=False, show_path=False, show_level=False, markup=False, highlighter=None
    )
    console.setLevel(logging.INFO)
    root.addHandler(console)
    folder = Path(os.environ.get("LAMPLIGHTER_LOGS", resolve_path("logs")))
    folder.mkdir(parents=True, exist_ok=True)
    file = RotatingFileHandler(folder / "lamplighter.log", maxBytes=10_000_000, backupCount=3, delay=True)
    file.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
    root.addHandler(file)
