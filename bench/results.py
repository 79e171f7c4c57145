"""Results as JSON lines, one per training, so that a benchmark that is cut off resumes where it stopped.

`models` in a line is a hash of the files of models/: lines of one file may come from several states of
the code.
"""

import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

PROJECT = Path(__file__).resolve().parent.parent
FOLDER = PROJECT / "docs" / "benchmarks" / "results"
MODELS = hashlib.sha256(
    b"".join(file.read_bytes() for file in sorted((PROJECT / "models").rglob("*.py")))
).hexdigest()[:12]
"""Of the code as it was when the run began."""


class Results:
    """The results of one benchmark.

    Args:
        name: of the benchmark; the file is docs/benchmarks/results/NAME.jsonl.
    """

    def __init__(self, name: str) -> None:
        self.path = FOLDER / f"{name}.jsonl"

    def all(self) -> list[dict[str, Any]]:
        """All results so far."""
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]

    def once(self, key: Mapping[str, Any], train: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Return the result that has this key; train and append it if there is none."""
        for found in self.all():
            if all(found.get(name) == value for name, value in key.items()):
                return found
        versions = {"torch": torch.__version__, "python": platform.python_version(), "models": MODELS}
        result = {**key, **train(), **versions}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")
        return result


def find(rows: list[dict[str, Any]], key: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the first of some results that has this key; None if there is none."""
    return next((row for row in rows if all(row.get(name) == v for name, v in key.items())), None)
