"""A fault of the infrastructure is one line: what, where, what to do. The faults are real."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark import SparkContext
from pyspark.sql import SparkSession

from core.errors import ConfigError, LamplighterError
from core.paths import naming, write_atomically
from jobs.tables.faults import explain, explained
from jobs.tables.store import Store
from tests.jobs.tables.small import DAY, NEXT, row, small_store, write_numbers
from tests.jobs.tables.small_file_system import small_file_system


def one_line(broken: Callable[[], Any]) -> str:
    """What a broken operation is explained as; the original error is its cause, or is explained here."""
    with pytest.raises(Exception) as caught:  # noqa: PT011  # Spark's, delta-rs' or ours: that is the point
        broken()
    fault = explain(caught.value)
    assert fault is not None, f"{type(caught.value)}: {caught.value}"
    assert fault.exit_code == 1
    text = str(fault)
    assert "\n" not in text
    assert "Py4J" not in text
    return text


@pytest.fixture(scope="module")
def written(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`numbers` of two data dates, in versions 1 and 2. Copy it before you break it."""
    folder = tmp_path_factory.mktemp("written")
    store = small_store(folder)
    write_numbers(spark, store, *((i, i) for i in range(1000)))
    write_numbers(spark, store, *((i, i) for i in range(1000)), day=NEXT)
    return folder


def copied(written: Path, folder: Path) -> Store:
    """The tables again, to be broken at will."""
    shutil.copytree(written, folder, dirs_exist_ok=True)
    return small_store(folder)


@pytest.fixture
def store(written: Path, tmp_path: Path) -> Store:
    """`numbers` of two data dates, 1000 rows each, of one's own."""
    return copied(written, tmp_path)


def data_file(store: Store, table: str = "numbers") -> Path:
    return next(store.catalog.path(table).glob(f"data_date={DAY}/*.parquet"))


def commit_file(store: Store, version: int, table: str = "numbers") -> Path:
    return store.catalog.path(table) / "_delta_log" / f"{version:020}.json"


def reads(spark: SparkSession, store: Store, table: str = "numbers") -> list[Callable[[], Any]]:
    """The same table by Spark and without it."""
    return [lambda: store.read(spark, table).selectExpr("sum(value)").collect(), lambda: store.rows(table)]


# --- data files -----------------------------------------------------------------------------------


def test_a_lost_data_file_is_named_and_its_data_date_can_be_written_again(
    spark: SparkSession, store: Store
) -> None:
    lost = data_file(store)
    lost.unlink()

    for read in reads(spark, store):
        assert one_line(read).startswith(
            f"numbers: data file {lost} is missing; expected every file that the table's log names. Restore "
        )
    write_numbers(spark, store, (1, 10))
    assert len(store.rows("numbers")) == 1001


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_a_cut_off_data_file_is_named_and_its_data_date_can_be_written_again(
    spark: SparkSession, store: Store, keep: float
) -> None:
    file = data_file(store)
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * keep)])

    for read in reads(spark, store):
        assert one_line(read).startswith(
            f"numbers: data file {file} is cut off or overwritten and cannot be read; "
        )
    write_numbers(spark, store, (1, 10))
    assert len(store.rows("numbers")) == 1001


def test_overwritten_pages_of_a_data_file_are_found_in_its_table(spark: SparkSession, store: Store) -> None:
    file = data_file(store)
    content = file.read_bytes()
    footer = int.from_bytes(content[-8:-4], "little") + 8
    file.write_bytes(content[:4] + b"\xff" * (len(content) - 4 - footer) + content[-footer:])

    for read in reads(spark, store):
        assert one_line(read).startswith(f"numbers: data file {file} is cut off or overwritten")


def test_the_table_that_is_broken_is_named_not_the_one_that_is_written(
    spark: SparkSession, store: Store
) -> None:
    data_file(store).unlink()

    def read_and_write() -> None:
        with explained("scores"):
            store.read(spark, "numbers").selectExpr("sum(value)").collect()

    assert one_line(read_and_write).startswith("numbers: data file ")


def test_a_source_file_is_no_file_of_a_table(spark: SparkSession, tmp_path: Path) -> None:
    file = tmp_path / "2022-05-07.parquet"
    pq.write_table(pa.table({"user_id": list(range(1000))}), file)
    frame = spark.read.parquet(str(file))
    file.unlink()

    assert one_line(frame.selectExpr("sum(user_id)").collect) == (
        f"source file {file} is missing; restore it, then run again"
    )


def test_paths_with_blanks_and_signs_are_named_as_they_are(
    spark: SparkSession, written: Path, tmp_path: Path
) -> None:
    store = copied(written, tmp_path / "a b % ü")
    lost = data_file(store)
    lost.unlink()

    for read in reads(spark, store):
        assert f"numbers: data file {lost} is missing" in one_line(read)


# --- the log --------------------------------------------------------------------------------------


def test_a_missing_last_commit_is_found_where_a_checksum_remembers_it(
    spark: SparkSession, store: Store
) -> None:
    commit_file(store, 2).unlink()

    assert one_line(lambda: store.version("numbers")).startswith(
        f"numbers: commit 2, the last one, is missing in {store.catalog.path('numbers')}/_delta_log; "
        "expected the whole log. Restore it, or move "
    )
    assert 2 not in store.commits("numbers")  # by which planning finds one without a checksum


def test_a_version_that_is_no_longer_there_is_named(tmp_path: Path) -> None:
    store = small_store(tmp_path)
    for name in ("a", "b"):
        store.append_rows("runs", [row(name)], "test", {})
    commit_file(store, 2, "runs").unlink()

    assert one_line(lambda: store.delta("runs", 2)).startswith(
        "runs: commit 2 is missing (the last one is 1) in "
    )


def test_a_gap_in_the_log_is_named(spark: SparkSession, store: Store) -> None:
    commit_file(store, 1).unlink()

    for read in [*reads(spark, store), lambda: write_numbers(spark, store, (1, 1))]:
        assert one_line(read).startswith("numbers: commit 1 is missing in ")


def test_a_table_without_any_commit_is_not_taken_for_a_new_one(spark: SparkSession, store: Store) -> None:
    for version in range(3):
        commit_file(store, version).unlink()

    for read in [*reads(spark, store), lambda: write_numbers(spark, store, (1, 1))]:
        assert one_line(read).startswith("numbers: all commits are missing in ")


@pytest.mark.parametrize("content", ["garbage\n", '{"add": {"path": "x', "\0\0\0\0"])
def test_a_broken_commit_file_is_named(spark: SparkSession, store: Store, content: str) -> None:
    commit_file(store, 2).write_text(content)

    for read in [*reads(spark, store), lambda: write_numbers(spark, store, (1, 1))]:
        assert one_line(read).startswith("numbers: commit file 00000000000000000002.json cannot be read in ")


@pytest.mark.parametrize("content", [b"garbage", b"\xff", b""], ids=["garbage", "no text", "empty"])
def test_a_broken_last_commit_of_a_small_table_is_named_by_whoever_looks(
    tmp_path: Path, content: bytes
) -> None:
    store = small_store(tmp_path)
    for name in ("a", "b"):
        store.append_rows("runs", [row(name)], "test", {})
    commit_file(store, 2, "runs").write_bytes(content)

    for use in (
        lambda: store.rows("runs"),
        lambda: store.commits("runs"),
        lambda: store.append_rows("runs", [row("c")], "test", {}),
    ):
        assert one_line(use).startswith(
            f"runs: commit file {2:020}.json {'cannot be read' if content else 'is empty'} in "
        )


def test_an_empty_commit_in_the_middle_is_named_by_planning(tmp_path: Path) -> None:
    store = small_store(tmp_path)
    for name in ("a", "b"):
        store.append_rows("runs", [row(name)], "test", {})
    commit_file(store, 1, "runs").write_bytes(b"")

    assert one_line(lambda: store.commits("runs")).startswith(f"runs: commit file {1:020}.json is empty in ")


# --- the protocol ---------------------------------------------------------------------------------


def switch_on(store: Store, protocol: dict[str, Any]) -> None:
    """Add features to the last commit of `runs`, as another program would."""
    commit = max((store.catalog.path("runs") / "_delta_log").glob("*.json"))
    versions = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": [], "writerFeatures": []}
    commit.write_text(f"{commit.read_text()}\n{json.dumps({'protocol': versions | protocol})}\n")


@pytest.mark.parametrize("feature", ["catalogManaged", "geospatial", "notYetInvented", "deletionVectors"])
def test_a_reader_feature_is_named_also_where_delta_rs_does_not_open_the_table(
    tmp_path: Path, feature: str
) -> None:
    store = small_store(tmp_path)
    store.append_rows("runs", [row("a")], "test", {})
    switch_on(store, {"readerFeatures": [feature], "writerFeatures": [feature]})

    text = one_line(lambda: store.rows("runs"))
    assert text.startswith(f"runs: the table's protocol has reader feature {feature}: its data files alone ")
    assert f"DROP FEATURE {feature} TRUNCATE HISTORY" in text


def test_a_writer_feature_is_named_where_delta_rs_cannot_write(tmp_path: Path) -> None:
    store = small_store(tmp_path)
    store.append_rows("runs", [row("a")], "test", {})
    switch_on(store, {"writerFeatures": ["checkpointProtection"]})

    assert len(store.rows("runs")) == 1
    text = one_line(lambda: store.append_rows("runs", [row("b")], "test", {}))
    assert text.startswith(
        "runs: the table's protocol has writer feature checkpointProtection: only Spark can write such a "
    )
    assert "DROP FEATURE checkpointProtection TRUNCATE HISTORY" in text


# --- the disk -------------------------------------------------------------------------------------


def test_a_read_only_warehouse_is_said_by_every_writer(
    spark: SparkSession, written: Path, tmp_path: Path
) -> None:
    with small_file_system(tmp_path / "disk", "4m") as disk:
        store = copied(written, disk.folder)
        store.append_rows("runs", [row("a")], "test", {})
        disk.make_read_only()

        for table, write in {
            "numbers": lambda: write_numbers(spark, store, (1, 1)),
            "runs": lambda: store.append_rows("runs", [row("b")], "test", {}),
        }.items():
            assert one_line(write) == (
                f"{table}: {store.catalog.path(table)} is on a read-only file system; nothing was committed. "
                "Mount it for writing, or set the path in the configuration (paths.*) to a folder that can "
                "be written, then run again"
            )
        with pytest.raises(LamplighterError, match="read-only file system"):
            write_numbers(spark, small_store(disk.folder / "new"), (1, 1))
        with (
            pytest.raises(LamplighterError, match="read-only file system"),
            store.locks.hold(spark, "numbers", "test"),
        ):
            pass
        assert len(store.rows("numbers")) == 2000


def test_a_full_disk_is_said_by_every_writer_and_nothing_is_committed(
    spark: SparkSession, written: Path, tmp_path: Path
) -> None:
    with small_file_system(tmp_path / "disk", "4m") as disk:
        store = copied(written, disk.folder)
        store.append_rows("runs", [row("a")], "test", {})
        disk.fill()

        for table, write in {
            "numbers": lambda: write_numbers(spark, store, *((i, i) for i in range(5000))),
            "runs": lambda: store.append_rows("runs", [row("b")], "test", {}),
        }.items():
            text = one_line(write)
            assert text.startswith(f"{table}: the disk is full; ")
            assert "nothing was committed. Free space there" in text
        (disk.folder / "filler").unlink()
        assert len(store.rows("numbers")) == 2000
        store.append_rows("runs", [row("b")], "test", {})
        assert len(store.rows("runs")) == 2


def test_a_disk_fault_outside_of_tables_is_said_of_the_file(tmp_path: Path) -> None:
    with small_file_system(tmp_path / "disk", "1m") as disk:
        page, weights = disk.folder / "reports" / "night.html", disk.folder / "models" / "weights"
        for file in (page, weights):
            file.parent.mkdir()
        disk.fill()

        def write_weights() -> None:
            with naming(weights):
                weights.write_bytes(bytes(10_000))

        for file, write in {
            page: lambda: write_atomically(page.as_uri(), "x" * 10_000),
            weights: write_weights,
        }.items():
            assert one_line(write).startswith(f"{file}: the disk is full; 0 MB are free at {file.parent}; ")
        disk.make_read_only()
        text = one_line(lambda: write_atomically(page.as_uri(), "x"))
        assert text.startswith(f"{page}.part-")
        assert " is on a read-only file system; nothing was committed. Mount it for writing, or set" in text


def test_an_error_that_a_rank_has_printed_is_understood(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    printed = f"training ended with exit code 1: OSError: [Errno 13] Permission denied: '{file}'; nothing was"

    assert str(explain(RuntimeError(printed))).startswith(f"{file}: no permission on {file}; ")


def test_a_warehouse_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "warehouse").write_text("")
    store = small_store(tmp_path / "warehouse")

    assert store.rows("runs") == []
    assert one_line(lambda: store.append_rows("runs", [row("a")], "test", {})).startswith(
        f"runs: {tmp_path}/warehouse is a file; expected a folder; nothing was committed. Move the file "
    )


# --- the JVM --------------------------------------------------------------------------------------

KILL_THE_JVM = """
import os, signal, sys, threading
from pathlib import Path
from core.load import load_config
from jobs.runtime.logs import set_up_logging
from jobs.runtime.progress import step_progress
from jobs.tables.faults import explain
from jobs.tables.session import spark_session
from tests.jobs.tables.small import small_store, write_numbers

set_up_logging(Path(sys.argv[1]) / "logs")
spark = spark_session(load_config(overrides=("runtime.cores=1", "runtime.driver_memory=1g")))
store = small_store(Path(sys.argv[1]))
write_numbers(spark, store, (1, 1))
pid = int(spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid())
slow = spark.range(10**12).selectExpr("sum(id % 7)")

def attempt(work):
    try:
        work()
    except Exception as error:
        print(explain(error), flush=True)
    else:
        print("it worked", flush=True)

threading.Timer(2.0, os.kill, (pid, signal.SIGKILL)).start()
with step_progress("score", every_seconds=0.1):
    attempt(slow.collect)
attempt(lambda: write_numbers(spark, store, (2, 2)))
attempt(lambda: store.read(spark, "numbers").collect())
"""


@pytest.mark.spark
def test_a_jvm_that_was_killed_is_said_in_one_line(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILL_THE_JVM, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={name: value for name, value in os.environ.items() if name != "LAMPLIGHTER_LOGS"},
    )
    try:
        output, errors = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)

    assert "Traceback" not in errors
    assert "\tat " not in errors
    lines = output.splitlines()
    lines = [line for line in lines if "still running" not in line]
    assert [line.partition(": ")[0] for line in lines] == ["Spark", "Spark", "numbers"], output
    for line in lines:
        assert "Spark's JVM has died (killed, or for lack of memory" in line
        assert "Run again; if it dies again, lower runtime.driver_memory or runtime.cores" in line


@pytest.mark.spark
def test_a_jvm_without_memory_says_which_setting_to_raise(spark: SparkSession) -> None:
    def exhaust() -> None:
        jvm: Any = spark.sparkContext._jvm
        jvm.java.util.ArrayList(2**31 - 1)

    assert one_line(exhaust).startswith(
        "Spark: the JVM ran out of memory; nothing was committed. Raise runtime."
    )


def _is_killed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    os.kill(os.getpid(), signal.SIGKILL)
    yield from batches


@pytest.mark.spark
def test_a_python_worker_that_was_killed_is_named(spark: SparkSession) -> None:
    assert one_line(lambda: spark.range(1).mapInArrow(_is_killed, "id bigint").collect()).startswith(
        "Spark: a Python worker was killed, or crashed (for lack of memory: see the kernel's log there); "
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            "Lost task 1.3 in stage 4.0 (TID 34) (h1 executor 5): java.lang.OutOfMemoryError: Java heap",
            "an executor ran out of memory; nothing was committed. Raise spark.executor.memory",
        ),
        (
            "ExecutorLostFailure (executor 3 exited caused by one of the running tasks) Reason: Command "
            "exited with code 52",
            "an executor ran out of memory; nothing was committed. Raise spark.executor.memory",
        ),
        (
            "[CHECKPOINT_RDD_BLOCK_ID_NOT_FOUND] Checkpoint block rdd_3_0 not found!",
            "an executor was lost, and the rows that it kept",
        ),
        (
            "PythonException: ImportError: libtorch_cpu.so: failed to map segment from shared object",
            "a Python worker ran out of memory; nothing was committed. There is one per core",
        ),
        ("PythonException: MemoryError", "a Python worker ran out of memory; nothing was committed"),
    ],
)
def test_executors_without_memory_are_not_the_driver(said: str, expected: str) -> None:
    """As Spark says it; tests/cluster/test_executors.py makes it say so."""
    assert str(explain(RuntimeError(said), "scores")).startswith(f"scores: {expected}")


# --- what is no fault of the infrastructure -------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [ValueError("no such column"), KeyError("x"), FileNotFoundError("models/ple.yaml"), EOFError("end")],
)
def test_other_errors_are_not_explained(error: Exception) -> None:
    assert explain(error) is None
    with pytest.raises(type(error)), explained("numbers"):
        raise error


def test_a_refused_connection_is_of_the_jvm_only_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(SparkContext, "_gateway", None)
    assert explain(refused) is None
    monkeypatch.setattr(SparkContext, "_gateway", object())
    assert "Spark's JVM has died" in str(explain(refused))


def test_an_error_of_ours_stays_as_it_is() -> None:
    error = ConfigError("paths.warehouse: no")

    assert explain(error) is error


def test_a_fault_of_spark_code_is_not_explained(spark: SparkSession) -> None:
    with pytest.raises(Exception, match="nothing_like_it") as caught:  # an AnalysisException
        spark.range(1).selectExpr("nothing_like_it").collect()

    assert explain(caught.value) is None
