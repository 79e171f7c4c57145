"""One writer a table, named to whoever comes second; nothing is left behind by one that was killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from core.errors import LamplighterError
from jobs.tables.locks import TableLock, commit_lock

HOLD = """
import sys, time
from pathlib import Path
from jobs.tables.locks import commit_lock
with commit_lock(Path(sys.argv[1]), "run 20220507-a, pid 17", 1.0):
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
    file = tmp_path / "events.lock"
    first = hold_elsewhere(file)
    try:
        with (
            pytest.raises(
                LamplighterError, match=r"events: another writer is at work \(run 20220507-a, pid 17\)"
            ),
            commit_lock(file, "run b", wait_seconds=0.1),
        ):
            pass
    finally:
        first.kill()
        first.wait()


def test_a_killed_writer_leaves_no_lock_behind(tmp_path: Path) -> None:
    file = tmp_path / "events.lock"
    first = hold_elsewhere(file)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()

    with commit_lock(file, "run b", wait_seconds=1.0):
        assert (tmp_path / "events.owner").read_text() == "run b"


def test_the_jvm_sees_a_lock_that_python_holds_elsewhere(spark: SparkSession, tmp_path: Path) -> None:
    file = tmp_path / "events.lock"
    first = hold_elsewhere(file)
    try:
        with pytest.raises(LamplighterError, match="run 20220507-a"):
            TableLock.take(spark, file, "run b")
    finally:
        first.kill()
        first.wait()
    lock = TableLock.take(spark, file, "run b")
    lock.release()


def test_two_jobs_of_one_session_exclude_each_other_too(spark: SparkSession, tmp_path: Path) -> None:
    lock = TableLock.take(spark, tmp_path / "events.lock", "run a")
    with pytest.raises(LamplighterError, match="another writer is at work"):
        TableLock.take(spark, tmp_path / "events.lock", "run b")

    lock.release()
    TableLock.take(spark, tmp_path / "events.lock", "run b").release()


def test_a_book_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "runs.lock"
    first = hold_elsewhere(file)
    subprocess.Popen(["sh", "-c", f"sleep 1; kill -9 {first.pid}"])
    started = time.monotonic()

    with commit_lock(file, "run b", wait_seconds=30.0):
        assert time.monotonic() - started >= 0.5
    first.wait()
