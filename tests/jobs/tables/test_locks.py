"""One writer per table, named to whoever comes second; a writer that was killed leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from core.errors import LamplighterError
from jobs.tables.locks import FileLocks

HOLD = """
import sys, time
from pathlib import Path
from jobs.tables.locks import FileLocks
file = Path(sys.argv[1])
with FileLocks(file.parent, 1.0).commit(file.stem, "run 20220507-a, pid 17"):
    print("locked", flush=True)
    time.sleep(600)
"""


def hold_elsewhere(file: Path) -> "subprocess.Popen[str]":
    """Another process that has the lock by the time this returns."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(file)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


def test_the_second_writer_is_told_who_the_first_is(tmp_path: Path) -> None:
    first = hold_elsewhere(tmp_path / "events.lock")
    try:
        with (
            pytest.raises(
                LamplighterError, match=r"events: another writer is at work \(run 20220507-a, pid 17\)"
            ),
            FileLocks(tmp_path, wait_seconds=0.1).commit("events", "run b"),
        ):
            pass
    finally:
        first.kill()
        first.wait()


def test_a_killed_writer_leaves_no_lock_behind(tmp_path: Path) -> None:
    first = hold_elsewhere(tmp_path / "events.lock")
    os.kill(first.pid, signal.SIGKILL)
    first.wait()

    with FileLocks(tmp_path, wait_seconds=1.0).commit("events", "run b"):
        assert (tmp_path / "events.owner").read_text() == "run b"


def test_a_job_sees_a_lock_that_python_holds_elsewhere(spark: SparkSession, tmp_path: Path) -> None:
    locks = FileLocks(tmp_path, wait_seconds=1.0)
    first = hold_elsewhere(locks.file("events"))
    try:
        with pytest.raises(LamplighterError, match="run 20220507-a"), locks.hold(spark, "events", "run b"):
            pass
    finally:
        first.kill()
        first.wait()
    with locks.hold(spark, "events", "run b"):
        assert (tmp_path / "events.owner").read_text() == "run b"


def test_two_jobs_of_one_session_exclude_each_other_too(spark: SparkSession, tmp_path: Path) -> None:
    locks = FileLocks(tmp_path, wait_seconds=1.0)
    with (
        locks.hold(spark, "events", "run a"),
        pytest.raises(LamplighterError, match=r"events: another writer is at work \(run a\)"),
        locks.hold(spark, "events", "run b"),
    ):
        pass

    with locks.hold(spark, "events", "run b"), locks.hold(spark, "users", "run b"):
        pass


def test_a_commit_waits_for_another_one(tmp_path: Path) -> None:
    first = hold_elsewhere(tmp_path / "runs.lock")
    subprocess.Popen(["sh", "-c", f"sleep 1; kill -9 {first.pid}"])
    started = time.monotonic()

    with FileLocks(tmp_path, wait_seconds=30.0).commit("runs", "run b"):
        assert time.monotonic() - started >= 0.5
    first.wait()
