"""Start the ranks of a training run and follow them."""

import logging
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

from core.errors import LamplighterError
from core.load import PROJECT_DIR
from jobs.runtime.progress import progress_bar
from models.training.lifeline import die_with_parent
from models.training.run_spec import RunSpec

log = logging.getLogger("lamplighter")

EPOCH = re.compile(r"epoch (\d+)/(\d+) .*")
# A rank that lost its peers ends by itself rather than hang (seconds).
STALL = {"HOROVOD_STALL_CHECK_TIME_SECONDS": "30", "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS": "120"}


def run_ranks(spec: RunSpec, ranks: int, folder: Path) -> None:
    """Run `models.training.process` on `ranks` processes of this host, and wait.

    The launcher and its ranks are killed when this process dies.

    Raises:
        LamplighterError: a rank failed; with its last line.
    """
    spec_file = folder / "run.json"
    spec.write(spec_file)
    environment = (
        os.environ
        | STALL
        | {
            "PYTHONPATH": str(PROJECT_DIR),
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": "1",
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
        }
    )
    command = [
        *_launcher(spec.distributed, ranks),
        sys.executable,
        "-m",
        "models.training.process",
        str(spec_file),
    ]
    last_line = ""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509  # one prctl call; launch starts before any thread of ours
    )
    assert process.stdout is not None  # asked for with PIPE
    with process, progress_bar() as progress:
        bar = progress.add_task(f"train {spec.model.name}: epochs", total=spec.model.optimiser.max_epochs)
        for line in process.stdout:
            log.debug(line.rstrip())
            last_line = line.strip() or last_line
            if match := EPOCH.search(line):
                progress.update(bar, completed=int(match[1]), total=int(match[2]))
    if process.returncode != 0:
        failure = folder / "failure.txt"
        reason = failure.read_text().strip() if failure.exists() else last_line
        raise LamplighterError(
            f"training ended with exit code {process.returncode}: {reason}; nothing was registered; "
            "the ranks' output is in the log file"
        )


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
