"""kill -9 at any moment, then run again: the same content as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from core.load import PROJECT_DIR
from jobs.runtime.night import run_history
from tests.jobs.runtime.test_night import digest_of
from tests.jobs.sample_project import FIRST_LOG_DATE, FIRST_NIGHT, SECOND_NIGHT, SampleProject

pytestmark = pytest.mark.slow


def night(project: SampleProject, day: str, model: str) -> "subprocess.Popen[bytes]":
    """A night in a process group of its own."""
    settings = [part for setting in project.settings for part in ("--set", setting)]
    command = [
        sys.executable,
        "-m",
        "jobs.cli.main",
        "night",
        "--data-date",
        day,
        "--model",
        model,
        *settings,
    ]
    return subprocess.Popen(
        command, cwd=PROJECT_DIR, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True
    )


def children_of(pid: int) -> set[int]:
    """All processes below one."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        if parent == pid:
            found |= {int(entry.name)} | children_of(int(entry.name))
    return found


def test_a_killed_night_run_again_leaves_what_an_undisturbed_one_does(
    spark: SparkSession, after_two_nights: SampleProject, fresh: SampleProject, tmp_path: Path
) -> None:
    project = fresh.copy(tmp_path)
    run_history(project.ask(FIRST_LOG_DATE, date(2022, 5, 6)))
    chance = random.Random(20220508)
    for day, model in ((FIRST_NIGHT, "ple"), (SECOND_NIGHT, "mfh")):
        for delay in sorted(chance.uniform(8, 60) for _ in range(3)):
            process = night(project, str(day), model)
            time.sleep(delay)
            below = children_of(process.pid)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            deadline = time.monotonic() + 60
            while any(Path(f"/proc/{pid}").exists() for pid in below) and time.monotonic() < deadline:
                time.sleep(0.5)
            assert not [pid for pid in below if _is_alive(pid)], "something outlived the night"
        assert night(project, str(day), model).wait() == 0

    assert digest_of(spark, project) == digest_of(spark, after_two_nights)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
