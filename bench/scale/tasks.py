"""What Spark's tasks cost, by phase of a program: from Spark's event log, once the session has stopped."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Task:
    """One task that has ended.

    Attributes:
        stage: its stage.
        launched_ms: when, in milliseconds since 1970.
        run_ms: time in the executor.
        cpu_ms: time on a core.
        bytes_read: of files; what a shuffle moved is not counted.
        records: read from files and from a shuffle.
    """

    stage: int
    launched_ms: int
    run_ms: float
    cpu_ms: float
    bytes_read: int
    records: int


class Phases:
    """Phases of a program, one after another, and the tasks that were launched in each.

    Args:
        folder: for Spark's event log; empty.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._spans: list[tuple[str, int, int]] = []
        folder.mkdir(parents=True)

    @property
    def settings(self) -> dict[str, str]:
        """What the session has to be started with."""
        return {
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": self._folder.as_uri(),
            "spark.eventLog.rolling.enabled": "false",
            "spark.eventLog.compress": "false",
        }

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count what happens inside as one run of a phase."""
        begin = time.time_ns() // 1_000_000
        yield
        end = time.time_ns() // 1_000_000
        self._spans.append((name, begin, end))
        print(f"{name}: {(end - begin) / 1000:.1f} s", flush=True)

    def runs(self) -> dict[str, list[list[Task]]]:
        """Return phase -> the tasks of each run of it; after the session has stopped."""
        tasks = sorted(self._tasks(), key=lambda task: task.launched_ms)
        found: dict[str, list[list[Task]]] = {}
        for name, begin, end in self._spans:
            inside = [task for task in tasks if begin <= task.launched_ms <= end]
            found.setdefault(name, []).append(inside)
        return found

    def _tasks(self) -> Iterator[Task]:
        (file,) = self._folder.iterdir()
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                if line.startswith('{"Event":"SparkListenerTaskEnd"'):
                    yield _task_of(json.loads(line))


def _task_of(event: dict[str, Any]) -> Task:
    metrics = event["Task Metrics"]
    read, shuffled = metrics["Input Metrics"], metrics["Shuffle Read Metrics"]
    return Task(
        stage=event["Stage ID"],
        launched_ms=event["Task Info"]["Launch Time"],
        run_ms=metrics["Executor Run Time"],
        cpu_ms=metrics["Executor CPU Time"] / 1e6,
        bytes_read=read["Bytes Read"],
        records=read["Records Read"] + shuffled["Total Records Read"],
    )
