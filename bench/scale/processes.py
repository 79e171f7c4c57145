"""What a command and the processes that it starts need: memory by kind of process, time on a core."""

import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

EVERY_SECONDS = 0.2
MODULES = {"pyspark.daemon": "Python worker", "models.training.process": "rank"}
"""Module -> kind of the processes that run it."""
KINDS = ("JVM", *MODULES.values(), "other")
"""`other` is the command itself, with whatever else it starts."""


@dataclass(frozen=True)
class Sample:
    """All processes at one moment.

    Attributes:
        at: when.
        cpu_seconds: time on a core since the command began, of processes that have ended, too.
        bytes_of: kind -> resident set of its largest process.
    """

    at: datetime
    cpu_seconds: float
    bytes_of: dict[str, int]


@dataclass(frozen=True)
class Used:
    """What was needed between two moments.

    Attributes:
        cpu_seconds: of all processes.
        bytes_of: kind -> largest resident set of one of its processes, at any sample.
    """

    cpu_seconds: float
    bytes_of: dict[str, int]


def watched(command: Sequence[str], folder: Path, log: Path) -> list[Sample]:
    """Run a command in a folder until it ends; return samples of it and its descendants.

    Args:
        command: the program and its arguments.
        folder: where it runs.
        log: file that what it prints is added to.

    Raises:
        SystemExit: it fails.
    """
    samples: list[Sample] = []
    ended = threading.Event()
    with log.open("a") as output:
        running = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        watcher = threading.Thread(target=_watch, args=(running.pid, samples, ended))
        watcher.start()
        code = running.wait()
        ended.set()
        watcher.join()
    if code:
        raise SystemExit(f"{' '.join(command)}: exit code {code}; it printed\n{log.read_text()[-2000:]}")
    return samples


def _watch(pid: int, samples: list[Sample], ended: threading.Event) -> None:
    seconds_of: dict[psutil.Process, float] = {}
    while not ended.wait(EVERY_SECONDS):
        try:
            samples.append(_sample(psutil.Process(pid), seconds_of))
        except psutil.NoSuchProcess:
            return


def _sample(root: psutil.Process, seconds_of: dict[psutil.Process, float]) -> Sample:
    """Return a sample; the time of a process that has ended is what was last seen of it."""
    bytes_of: dict[str, int] = {}
    for process in [root, *root.children(recursive=True)]:
        try:
            with process.oneshot():
                kind = kind_of(process.cmdline())
                resident, times = process.memory_info().rss, process.cpu_times()
        except psutil.Error:  # it has just ended
            continue
        seconds_of[process] = times.user + times.system
        bytes_of[kind] = max(resident, bytes_of.get(kind, 0))
    return Sample(datetime.now(UTC), sum(seconds_of.values()), bytes_of)


def kind_of(command: Sequence[str]) -> str:
    """Return the kind of a process, from its command line."""
    if command and Path(command[0]).name == "java":
        return "JVM"
    return next((kind for module, kind in MODULES.items() if module in command), "other")


def used(samples: Sequence[Sample], begin: datetime, end: datetime) -> Used:
    """Return what was needed between two moments; nothing where no sample lies between them."""
    inside = [sample for sample in samples if begin <= sample.at <= end]
    if not inside:
        return Used(0.0, {})
    kinds = {kind for sample in inside for kind in sample.bytes_of}
    bytes_of = {kind: max(sample.bytes_of.get(kind, 0) for sample in inside) for kind in sorted(kinds)}
    return Used(inside[-1].cpu_seconds - inside[0].cpu_seconds, bytes_of)
