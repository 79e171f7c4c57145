"""Start the ranks of a training run, follow them, and remove what a killed run left."""

import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

import models
from core.errors import LamplighterError
from core.paths import Place
from models.training.run_spec import RunSpec

log = logging.getLogger("lamplighter")

EPOCH = re.compile(r"epoch (\d+)/(\d+) .*")
FAILURE = re.compile(r"rank \d+ (stopped|failed): (.*)")
# A rank that lost its peers ends by itself rather than hang (seconds).
STALL = {"HOROVOD_STALL_CHECK_TIME_SECONDS": "30", "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS": "120"}
# The launcher dies with this process, also by kill -9. Set by the new process itself: Popen's preexec_fn may
# deadlock, since a progress bar runs in another thread here.
DIE_WITH_PARENT = """
import os, sys
from models.training.lifeline import die_with_parent
die_with_parent(int(sys.argv[1]))
os.execvp(sys.argv[2], sys.argv[2:])
"""
_LEFTOVER = re.compile(r"training-(?P<host>.+)-(?P<pid>\d+)-(?P<started>\d+)-[^-]+")


@contextmanager
def training_folder(models_folder: Place) -> Iterator[Path]:
    """Make a folder for what the ranks leave, removed when the block ends.

    Folders whose process on this host is dead are removed first: `kill -9` leaves them behind.

    Args:
        models_folder: folder of the bundles, made if it is missing; the new folder is inside. Where it is not
            on this machine, the new folder is among temporary files.
    """
    parent = models_folder if isinstance(models_folder, Path) else Path(tempfile.gettempdir())
    parent.mkdir(parents=True, exist_ok=True)
    for folder in parent.glob("training-*"):
        if _is_leftover(folder.name):
            log.debug(f"{folder}: removed; the training that made it was killed")
            shutil.rmtree(folder, ignore_errors=True)
    started = int(psutil.Process().create_time())
    prefix = f"training-{socket.gethostname()}-{os.getpid()}-{started}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as name:
        yield Path(name)


def _is_leftover(name: str) -> bool:
    """Whether the process of a folder ran on this host and is dead; ids of processes are used again."""
    found = _LEFTOVER.fullmatch(name)
    if found is None or found["host"] != socket.gethostname():
        return False
    try:
        started = psutil.Process(int(found["pid"])).create_time()
    except psutil.NoSuchProcess:
        return True
    return abs(started - int(found["started"])) > 2.0  # the clock's corrections move it a little


def run_ranks(
    spec: RunSpec, ranks: int, folder: Path, on_epoch: Callable[[int, int], None] = lambda _, __: None
) -> None:
    """Run `models.training.process` on `ranks` processes of this host, and wait.

    The launcher and its ranks are killed when this process dies.

    Args:
        spec: what the ranks need to know.
        ranks: number of processes.
        folder: empty; the ranks write their results there.
        on_epoch: called with the epochs done and their largest number.

    Raises:
        LamplighterError: a rank stopped with one, or the launcher ended; with the reason or its last line.
        RuntimeError: a rank failed otherwise; with the error's text, so that it can be explained.
    """
    spec_file = folder / "run.json"
    spec.write(spec_file)
    environment = (
        os.environ
        | STALL
        | {
            "PYTHONPATH": str(Path(models.__file__).parents[1]),
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": "1",
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
        }
    )
    command = [
        *(sys.executable, "-c", DIE_WITH_PARENT, str(os.getpid())),
        *_launcher(spec.distributed, ranks),
        sys.executable,
        "-m",
        "models.training.process",
        str(spec_file),
    ]
    last_line, failure = "", None
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None  # asked for with PIPE
    with process:
        for line in process.stdout:
            log.debug(line.rstrip())
            last_line = line.strip() or last_line
            failure = failure or FAILURE.search(line)  # the first: others follow from it
            if match := EPOCH.search(line):
                on_epoch(int(match[1]), int(match[2]))
    if process.returncode != 0:
        kind, reason = failure.groups() if failure else ("", last_line)
        text = (
            f"training ended with exit code {process.returncode}: {reason}; nothing was registered; "
            "the ranks' output is in the log file"
        )
        raise RuntimeError(text) if kind == "failed" else LamplighterError(text)


def _launcher(distributed: str, ranks: int) -> list[str]:
    if distributed == "single":
        return []
    if distributed == "torch":
        return [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            f"--nproc-per-node={ranks}",
            "--no-python",
        ]
    binary = shutil.which("horovodrun", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if binary is None:
        raise LamplighterError(
            "horovodrun is not on PATH; run `make setup`, or set training.distributed=torch"
        )
    return [binary, "--gloo", "-np", str(ranks), "-H", f"localhost:{ranks}"]
