"""One writer per table.

`Locks` is what the store and the runs need: `PostgresLocks` for several machines, in a file of their own, and
`FileLocks` for one: kernel file locks, which end with the process that commits. Spark commits from the JVM,
so the JVM takes the lock that a job holds: `kill -9` of Python alone does not free a table on which a commit
may still be at work. delta-rs commits from Python, which takes its own. Both are POSIX record locks, so they
exclude each other. The holder's name is written beside the lock, for the message only.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.sql import SparkSession

from core.errors import LamplighterError
from core.paths import local_path
from core.schema import Runtime
from jobs.tables.faults import explained


class Locks(Protocol):
    """One writer per table, whatever keeps the others out."""

    def hold(self, spark: SparkSession, table: str, owner: str) -> AbstractContextManager[None]:
        """Hold a table for a job that commits through Spark; ends at the latest with the JVM.

        Raises:
            LamplighterError: another process, or another job of this one, is writing the table.
        """
        ...

    def confirm(self, table: str) -> None:
        """Make sure that a lock of `hold` has never been lost; asked before and after each commit of Spark.

        Raises:
            LamplighterError: it was, so another writer may have been at work.
        """
        ...

    def commit(self, table: str, owner: str) -> AbstractContextManager[None]:
        """Hold a table for one commit from Python, waiting for others; ends at the latest with the process.

        Raises:
            LamplighterError: still busy after the time that the implementation waits.
        """
        ...


def locks_of(root: str, runtime: Runtime) -> Locks:
    """Return what keeps other writers out of the tables of a folder.

    Where `runtime.locks` names a database: its locks. Else on this machine lock files beside the tables, and
    elsewhere lock files of this machine and user, so there is one machine that may write.

    Args:
        root: URI of the folder that holds the tables of a data set.
        runtime: names the database, if any, and how long a commit waits.

    Raises:
        ConfigError: `runtime.locks` is no URI of a database.
    """
    if runtime.locks is not None:
        from jobs.tables.postgres_locks import PostgresLocks  # one machine needs no driver of PostgreSQL

        return PostgresLocks(runtime.locks, root, runtime.lock_wait_seconds)
    if urlsplit(root).scheme == "file":
        return FileLocks(local_path(root) / "_locks", runtime.lock_wait_seconds)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return FileLocks(cache / "lamplighter" / "locks" / root.replace("/", "_"), runtime.lock_wait_seconds)


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
        file = self.file(table)
        with explained(table, self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            channel = _lock_in_jvm(spark, file)
            _owner_file(file).write_text(owner)
        try:
            yield
        finally:
            _owner_file(file).unlink(missing_ok=True)
            with suppress(OSError, Py4JError):  # a JVM that died has released its locks
                channel.close()

    def confirm(self, table: str) -> None:
        """See `Locks.confirm`: nothing to ask, since the kernel keeps a lock as long as the JVM lives."""

    @contextmanager
    def commit(self, table: str, owner: str) -> Iterator[None]:
        """See `Locks.commit`."""
        file = self.file(table)
        self.folder.mkdir(parents=True, exist_ok=True)
        until = time.monotonic() + self.wait_seconds
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


def _lock_in_jvm(spark: SparkSession, file: Path) -> Any:
    """Lock a file from the JVM; return the channel that holds the lock until it is closed."""
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
    return channel


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
