"""One writer a table: kernel file locks that end with the process that commits.

Spark commits from the JVM, so the JVM takes those locks: `kill -9` of Python alone does not free a
table on which a commit may still be under way. delta-rs commits from Python, which takes its own.
Both are POSIX record locks, so they see each other. Who holds a lock is written beside it, for the
message only.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from py4j.java_gateway import JavaObject
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from core.errors import LamplighterError


class TableLock:
    """A lock on one table's file, held by the JVM of a Spark session."""

    def __init__(self, file: Path, channel: JavaObject) -> None:
        self.file = file
        self._channel = channel

    @classmethod
    def take(cls, spark: SparkSession, file: Path, owner: str) -> "TableLock":
        """Lock the table, or say who has it.

        Raises:
            LamplighterError: another process, or another job of this one, is writing the table.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        gateway = spark.sparkContext._gateway
        assert gateway is not None  # a session has one
        jvm = gateway.jvm
        options = gateway.new_array(jvm.java.nio.file.OpenOption, 2)
        options[0] = jvm.java.nio.file.StandardOpenOption.CREATE
        options[1] = jvm.java.nio.file.StandardOpenOption.WRITE
        path = jvm.java.nio.file.Paths.get(str(file), gateway.new_array(jvm.java.lang.String, 0))
        channel = jvm.java.nio.channels.FileChannel.open(path, options)
        try:
            lock = channel.tryLock()
        except Py4JJavaError as error:
            if "OverlappingFileLockException" not in str(error.java_exception):
                raise
            lock = None  # this JVM has it already
        if lock is None:
            channel.close()
            raise LamplighterError(_busy(file))
        _owner_file(file).write_text(owner)
        return cls(file, channel)

    def release(self) -> None:
        """Give the table back."""
        _owner_file(self.file).unlink(missing_ok=True)
        self._channel.close()


@contextmanager
def commit_lock(file: Path, owner: str, wait_seconds: float) -> Iterator[None]:
    """Hold a shared table for one commit from Python, waiting for others.

    Raises:
        LamplighterError: still busy after wait_seconds.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + wait_seconds
    with file.open("a") as handle:
        while True:
            try:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() >= until:
                    raise LamplighterError(_busy(file)) from error
                time.sleep(0.05)
        _owner_file(file).write_text(owner)
        yield


def owner_text(run_id: str) -> str:
    """What a lock says of its holder."""
    return f"run {run_id}, pid {os.getpid()}"


def _owner_file(file: Path) -> Path:
    return file.with_suffix(".owner")


def _busy(file: Path) -> str:
    owner_file = _owner_file(file)
    owner = owner_file.read_text() if owner_file.exists() else "another process"
    return (
        f"{file.stem}: another writer is at work ({owner}); expected one writer a table; "
        "wait until it ends, or end it, then run again"
    )
