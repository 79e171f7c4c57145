"""One writer per table.

`Locks` is what the store and the runs need; `FileLocks` are kernel file locks on one machine, which end with
the process that commits. Spark commits from the JVM, so the JVM takes the lock that a job holds: `kill -9` of
Python alone does not free a table on which a commit may still be at work. delta-rs commits from Python, which
takes its own. Both are POSIX record locks, so they exclude each other. The holder's name is written beside
the lock, for the message only.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from core.errors import LamplighterError
from jobs.tables.faults import explained


class Locks(Protocol):
    """One writer per table, whatever keeps the others out."""

    def hold(self, spark: SparkSession, table: str, owner: str) -> AbstractContextManager[None]:
        """Hold a table for a job that commits through Spark; ends at the latest with the JVM.

        Raises:
            LamplighterError: another process, or another job of this one, is writing the table.
        """
        ...

    def commit(self, table: str, owner: str) -> AbstractContextManager[None]:
        """Hold a table for one commit from Python, waiting for others; ends at the latest with the process.

        Raises:
            LamplighterError: still busy after the time that the implementation waits.
        """
        ...


class FileLocks:
    """`Locks` for one machine: a lock file per table.

    Args:
        folder: where the lock files are; made if it is missing.
        wait_seconds: how long `commit` waits for another writer.
    """

    def __init__(self, folder: Path, wait_seconds: float) -> None:
        self.folder = folder
        self.wait_seconds = wait_seconds

    def file(self, table: str) -> Path:
        """Return the lock file of a table."""
        return self.folder / f"{table}.lock"

    @contextmanager
    def hold(self, spark: SparkSession, table: str, owner: str) -> Iterator[None]:
        """See `Locks.hold`."""
        with explained(table, self.file(table).parent):
            lock = TableLock.take(spark, self.file(table), owner)
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def commit(self, table: str, owner: str) -> Iterator[None]:
        """See `Locks.commit`."""
        with commit_lock(self.file(table), owner, self.wait_seconds):
            yield


class TableLock:
    """A lock on one table's file, held by the JVM of a Spark session."""

    def __init__(self, file: Path, channel: Any) -> None:
        self.file = file
        self._channel = channel

    @classmethod
    def take(cls, spark: SparkSession, file: Path, owner: str) -> "TableLock":
        """Lock the table.

        Raises:
            LamplighterError: another process, or another job of this one, is writing the table.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        gateway: Any = spark.sparkContext._gateway
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
        """Release the table; a JVM that is gone has done so already."""
        _owner_file(self.file).unlink(missing_ok=True)
        try:
            self._channel.close()
        except OSError:
            return  # connection refused: with the JVM, its locks are gone


@contextmanager
def commit_lock(file: Path, owner: str, wait_seconds: float) -> Iterator[None]:
    """Hold a lock file for one commit from Python, waiting for others.

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
            except BlockingIOError as error:
                if time.monotonic() >= until:
                    raise LamplighterError(_busy(file)) from error
                time.sleep(0.05)
        _owner_file(file).write_text(owner)
        yield


def owner_text(run_id: str) -> str:
    """Return what a lock says about its holder."""
    return f"run {run_id}, pid {os.getpid()}"


def _owner_file(file: Path) -> Path:
    return file.with_suffix(".owner")


def _busy(file: Path) -> str:
    owner_file = _owner_file(file)
    owner = owner_file.read_text() if owner_file.exists() else "another process"
    return (
        f"{file.stem}: another writer is at work ({owner}); expected one writer per table; "
        "wait until it ends, or end it, then run again"
    )
