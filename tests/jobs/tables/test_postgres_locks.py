"""Advisory locks on a real PostgreSQL: two processes, a killed holder, a lost connection."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pyspark.sql import SparkSession

from core.errors import ConfigError, LamplighterError
from jobs.tables.postgres_locks import PostgresLocks
from jobs.tables.store import Store
from tests.jobs.tables.small import DAY, NUMBERS, SmallCatalog, numbers
from tools.cluster.postgres import postgres
from tools.cluster.process import ServiceError

ROOT = "s3a://bucket/warehouse/small"
METADATA = {"run_id": "a", "job": "test"}

HOLD_IN_PYTHON = """
import sys, time
from jobs.tables.postgres_locks import PostgresLocks
with PostgresLocks(sys.argv[1], sys.argv[2], 1.0).commit("events", "run 20220507-a, pid 17"):
    print("locked", flush=True)
    time.sleep(600)
"""
# Prints the JVM's process id, too: the lock is the JVM's.
HOLD_IN_JVM = """
import sys, time
from pyspark.sql import SparkSession
from jobs.tables.postgres_locks import PostgresLocks
spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
jvm = spark.sparkContext._gateway.jvm.java.lang.ProcessHandle.current().pid()
with PostgresLocks(sys.argv[1], sys.argv[2], 1.0).hold(spark, "events", "run 20220507-a, pid 17"):
    print("locked", jvm, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The URI of a database of one's own."""
    # Not tmp_path: it is closed to the user whom root runs PostgreSQL as.
    with tempfile.TemporaryDirectory(prefix="lamplighter-postgres-") as folder:
        Path(folder).chmod(0o755)
        try:
            with postgres(Path(folder) / "server") as server:
                yield server.uri
        except ServiceError as error:
            if "is missing" not in str(error):
                raise
            pytest.skip(str(error))


def hold_elsewhere(program: str, database: str) -> "tuple[subprocess.Popen[str], list[str]]":
    """Another process that has the lock of `events` by the time this returns, and what it printed."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, database, ROOT], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("locked"), line
    return process, line.split()[1:]


def test_the_second_writer_is_told_who_the_first_is_and_a_killed_one_leaves_nothing(database: str) -> None:
    locks = PostgresLocks(database, ROOT, wait_seconds=0.2)
    first, _ = hold_elsewhere(HOLD_IN_PYTHON, database)
    try:
        busy = r"events: another writer is at work \(run 20220507-a, pid 17, on 127.0.0.1\)"
        with pytest.raises(LamplighterError, match=busy), locks.commit("events", "run b"):
            pass
        with locks.commit("users", "run b"):  # another table
            pass
        with PostgresLocks(database, f"{ROOT}2", 0.2).commit("events", "run b"):  # another warehouse
            pass
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()

    with PostgresLocks(database, ROOT + "/", wait_seconds=5.0).commit("events", "run b"):
        pass


def test_a_commit_waits_for_another_one(database: str) -> None:
    first, _ = hold_elsewhere(HOLD_IN_PYTHON, database)
    subprocess.Popen(["sh", "-c", f"sleep 1; kill -9 {first.pid}"])
    started = time.monotonic()

    with PostgresLocks(database, ROOT, wait_seconds=30.0).commit("events", "run b"):
        assert time.monotonic() - started >= 0.5
    first.wait()


def test_a_lock_of_the_jvm_outlives_python_and_ends_with_the_jvm(spark: SparkSession, database: str) -> None:
    locks = PostgresLocks(database, ROOT, wait_seconds=0.2)
    first, (jvm,) = hold_elsewhere(HOLD_IN_JVM, database)
    try:
        with pytest.raises(LamplighterError, match="run 20220507-a"), locks.hold(spark, "events", "run b"):
            pass
        with pytest.raises(LamplighterError, match="run 20220507-a"), locks.commit("events", "run b"):
            pass
        os.kill(int(jvm), signal.SIGSTOP)  # a JVM that is at work while its Python is killed
        first.kill()
        first.wait()
        with pytest.raises(LamplighterError, match="run 20220507-a"), locks.hold(spark, "events", "run b"):
            pass
    finally:
        os.kill(int(jvm), signal.SIGKILL)
        first.kill()
        first.wait()

    with PostgresLocks(database, ROOT, 10.0).commit("events", "run b"):
        pass
    with locks.hold(spark, "events", "run b"):
        locks.confirm("events")


def test_two_jobs_of_one_session_exclude_each_other_too(spark: SparkSession, database: str) -> None:
    locks = PostgresLocks(database, ROOT, wait_seconds=0.2)
    with (
        locks.hold(spark, "events", "run a"),
        pytest.raises(LamplighterError, match=r"events: another writer is at work \(run a"),
        locks.hold(spark, "events", "run b"),
    ):
        pass
    with locks.hold(spark, "events", "run b"), locks.hold(spark, "users", "run b"):
        locks.confirm("events")


def end_sessions(database: str, owner: str) -> None:
    """What a lost connection is to the server."""
    with psycopg.connect(database, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [owner]
        ).fetchall()
        assert ended == [(True,)]


def test_a_table_whose_lock_was_lost_is_not_written(
    spark: SparkSession, database: str, tmp_path: Path
) -> None:
    catalog = SmallCatalog(tmp_path, NUMBERS)
    store = Store(catalog, PostgresLocks(database, catalog.root, 1.0))
    with store.locks.hold(spark, "numbers", "run a"):
        store.replace("numbers", numbers(spark, (1, 10)), f"data_date = DATE'{DAY}'", METADATA, 1)
        before = store.version("numbers")
        end_sessions(database, "run a")
        with pytest.raises(LamplighterError, match="numbers: its lock in PostgreSQL was lost"):
            store.replace("numbers", numbers(spark, (2, 20)), f"data_date = DATE'{DAY}'", METADATA, 1)

    assert store.version("numbers") == before


def test_a_lock_that_was_lost_while_spark_wrote_is_an_error(
    spark: SparkSession, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = SmallCatalog(tmp_path, NUMBERS)
    locks = PostgresLocks(database, catalog.root, 1.0)
    store = Store(catalog, locks)
    asked: list[str] = []
    confirm = locks.confirm

    def confirm_and_lose(table: str) -> None:
        confirm(table)
        asked.append(table)
        end_sessions(database, "run a")

    monkeypatch.setattr(locks, "confirm", confirm_and_lose)
    with (
        locks.hold(spark, "numbers", "run a"),
        pytest.raises(LamplighterError, match="another writer may have committed at the same time"),
    ):
        store.replace("numbers", numbers(spark, (1, 10)), f"data_date = DATE'{DAY}'", METADATA, 1)
    assert asked == ["numbers"]  # the first question was answered, the second one was not


def test_a_database_that_is_not_there_is_named_without_its_password(spark: SparkSession) -> None:
    locks = PostgresLocks("postgresql://somebody:secret@127.0.0.1:9/locks", ROOT, wait_seconds=0.2)
    for writer in (locks.commit("events", "run b"), locks.hold(spark, "events", "run b")):
        with pytest.raises(LamplighterError, match=re.escape("//127.0.0.1:9/locks cannot be used")) as raised:
            writer.__enter__()
        assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("mysql://host/locks", "expected postgresql://"),
        ("postgresql:///locks?user=me", "no host, user or database"),
        ("postgresql://me@host/locks?target_session_attrs=any", "target_session_attrs"),
    ],
)
def test_a_uri_that_not_both_drivers_take_is_refused(uri: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PostgresLocks(uri, ROOT, 1.0)
