"""Served lists as files and in Redis: versions, one of which counts, whatever ends an export."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from core.errors import ConfigError, LamplighterError
from core.load import PROJECT_DIR
from jobs.runtime.export import Exported, export_lists, target_of
from jobs.workers.redis_exports import to_writer
from tests.jobs.runtime.small_lists import FIRST, SECOND, VERSIONS, lists_store, publish
from tests.small_redis import NO_SERVER, redis_server

USERS = 50
MANY = {"redis": 150_000, "files": 20_000}  # so that writing takes a while, and reading does not


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture
def empty_redis(redis_url: str) -> str:
    client_of(redis_url).flushall()
    return redis_url


def client_of(url: str) -> Any:
    from redis import Redis

    return Redis.from_url(url, decode_responses=True)


def read_files(folder: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """What a reader does: the pointer, then the files that it names."""
    current = json.loads((folder / "current.json").read_text())
    read = pd.read_parquet if folder.name == "parquet" else lambda file: pd.read_json(file, lines=True)
    return current, pd.concat([read(folder / file) for file in current["files"]])


def read_redis(client: Any, user: int) -> dict[str, Any]:
    """What a reader does: the pointer, then the list; None is there for a user without a list alone."""
    version = client.get("lamplighter:small:current")
    return dict(json.loads(client.hget(f"lamplighter:small:{version}:users", f"{user}:home")))


@pytest.mark.parametrize(
    ("to", "kind", "message"),
    [
        ("out", "csv", "--format csv: expected one of parquet, jsonl"),
        ("redis://127.0.0.1", "jsonl", "--format jsonl is of files, and --to names a Redis"),
        ("redis://127.0.0.1:port/0", "", "expected redis://host:port/db"),
        ("ftp://host/folder", "", "--to: ftp://host/folder: scheme ftp is not supported"),
    ],
)
def test_wrong_targets_are_refused(to: str, kind: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        target_of(to, kind, "small")
    assert message in str(error.value)


def test_a_password_is_in_no_message() -> None:
    assert target_of("redis://me:secret@127.0.0.1:1/0", "", "small").place == "redis://127.0.0.1:1/0"


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_files_hold_one_row_per_user_and_a_switch_back_writes_nothing(
    spark: SparkSession, tmp_path: Path, kind: str
) -> None:
    store, folder = lists_store(tmp_path), tmp_path / "out here" / "small" / kind
    foreign = folder / "notes"
    foreign.mkdir(parents=True)

    def export() -> Exported:
        return export_lists(store, spark, target_of(str(tmp_path / "out here"), kind, "small"))

    publish(spark, store, 1, FIRST, USERS)
    done = export()
    assert (done.version, done.lists, done.is_written, done.before) == (VERSIONS[FIRST], USERS, True, None)
    current, rows = read_files(folder)
    assert {name: current[name] for name in ("version", "data_date", "model_version", "lists")} == {
        "version": VERSIONS[FIRST], "data_date": str(FIRST), "model_version": "ple-7", "lists": USERS
    }  # fmt: skip
    assert sorted(rows["user_id"]) == list(range(USERS))
    assert list(rows.set_index("user_id").loc[4, "items"]) == [41, 42, 43]
    assert set(rows.set_index("user_id").loc[4, "probabilities"]) == {"click", "long_view", "like"}

    assert not export().is_written
    publish(spark, store, 2, SECOND, USERS)
    done = export()
    assert (done.version, done.before) == (VERSIONS[SECOND], VERSIONS[FIRST])
    publish(spark, store, 3, FIRST, USERS)  # a rollback
    assert not export().is_written
    assert read_files(folder)[0]["version"] == VERSIONS[FIRST]
    assert foreign.exists()


def test_a_version_that_lost_a_file_is_written_again_and_older_ones_are_removed(
    spark: SparkSession, tmp_path: Path
) -> None:
    store, folder = lists_store(tmp_path), tmp_path / "small" / "jsonl"
    target = target_of(str(tmp_path), "jsonl", "small")
    for version in ("2022-05-05-" + "5" * 12, "2022-05-06-" + "6" * 12):
        (folder / version).mkdir(parents=True)
    (folder / "current.json").write_text(json.dumps({"version": "2022-05-06-" + "6" * 12}))
    publish(spark, store, 1, FIRST, USERS)

    export_lists(store, spark, target)
    assert sorted(path.name for path in folder.glob("2022*")) == ["2022-05-06-" + "6" * 12, VERSIONS[FIRST]]
    next((folder / VERSIONS[FIRST]).glob("part-*")).unlink()
    assert export_lists(store, spark, target).is_written
    assert len(read_files(folder)[1]) == USERS


def test_nothing_published_is_one_line(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(LamplighterError, match="nothing was published yet"):
        export_lists(lists_store(tmp_path), spark, target_of(str(tmp_path), "", "small"))


@NO_SERVER
def test_redis_holds_a_list_per_user_and_the_version_before_expires(
    spark: SparkSession, tmp_path: Path, empty_redis: str
) -> None:
    store, client, target = lists_store(tmp_path), client_of(empty_redis), target_of(empty_redis, "", "small")
    keys = {day: f"lamplighter:small:{version}:users" for day, version in VERSIONS.items()}

    publish(spark, store, 1, FIRST, USERS)
    assert export_lists(store, spark, target).is_written
    found = read_redis(client, 4)
    assert (found["user_id"], found["items"], found["scores"]) == (4, [41, 42, 43], [7.0] * 3)
    assert (found["data_date"], found["model_version"]) == (str(FIRST), "ple-7")
    assert client.hget(keys[FIRST], f"{USERS}:home") is None
    assert client.ttl(keys[FIRST]) == -1  # for ever

    publish(spark, store, 2, SECOND, USERS)
    export_lists(store, spark, target)
    assert 0 < client.ttl(keys[FIRST]) <= 24 * 3600
    publish(spark, store, 3, FIRST, USERS)  # a rollback
    assert not export_lists(store, spark, target).is_written
    assert read_redis(client, 4)["data_date"] == str(FIRST)
    assert (client.ttl(keys[FIRST]), client.ttl(keys[SECOND]) > 0) == (-1, True)

    client.hdel(keys[FIRST], "4:home")  # as if Redis had evicted it
    assert export_lists(store, spark, target).is_written
    assert (client.hlen(keys[FIRST]), client.ttl(keys[FIRST])) == (USERS, -1)


@NO_SERVER
def test_a_version_that_is_not_complete_is_not_switched_to(empty_redis: str) -> None:
    client = client_of(empty_redis)
    client.hset("lamplighter:small:b:users", "1", "{}")
    client.set("lamplighter:small:current", "a")

    with pytest.raises(LamplighterError, match="holds 1 lists, expected 2; nothing was switched"):
        target_of(empty_redis, "", "small").switch("b", 2)
    assert client.get("lamplighter:small:current") == "a"


@NO_SERVER
@pytest.mark.parametrize(("current", "lives_on"), [("a", False), ("b", True)])
def test_a_task_that_writes_late_does_not_make_the_version_that_counts_expire(
    empty_redis: str, current: str, lives_on: bool
) -> None:
    client = client_of(empty_redis)
    client.set("lamplighter:small:current", current)
    rows = pa.RecordBatch.from_pydict({"field": ["1", "2"], "value": ["{}", "{}"]})

    (told,) = to_writer(empty_redis, "lamplighter:small:", "b")([rows])

    assert told.to_pydict() == {"written": [2]}
    assert client.hgetall("lamplighter:small:b:users") == {"1": "{}", "2": "{}"}
    assert (client.ttl("lamplighter:small:b:users") == -1) is lives_on


@NO_SERVER
def test_a_redis_that_is_full_or_gone_is_one_line(
    spark: SparkSession, tmp_path: Path, empty_redis: str
) -> None:
    store, client, target = lists_store(tmp_path), client_of(empty_redis), target_of(empty_redis, "", "small")
    publish(spark, store, 1, FIRST, USERS)
    client.config_set("maxmemory", "1")
    try:
        with pytest.raises(LamplighterError, match=r"used memory > .*nothing was switched"):
            export_lists(store, spark, target)
    finally:
        client.config_set("maxmemory", "0")
    assert client.get("lamplighter:small:current") is None
    with pytest.raises(
        LamplighterError, match=r"export redis://127.0.0.1:1/0: .*refused.*nothing was switched"
    ):
        export_lists(store, spark, target_of("redis://:secret@127.0.0.1:1/0", "", "small"))


# --- ended in the middle ------------------------------------------------------------------------

EXPORT = """
import sys
from pathlib import Path
from pyspark.sql import SparkSession
from jobs.runtime.export import export_lists, target_of
from tests.jobs.runtime.small_lists import lists_store

spark = SparkSession.builder.master("local[2]").config("spark.driver.memory", "1g").getOrCreate()
folder, to, kind = sys.argv[1:]
done = export_lists(lists_store(Path(folder)), spark, target_of(to, kind, "small"))
print("written" if done.is_written else "there", flush=True)
"""


class Reading:
    """A reader that reads all the time, in a thread."""

    def __init__(self, read: Callable[[], str]) -> None:
        self.seen: list[str] = []
        self.faults: list[str] = []
        self._ends = threading.Event()

        def run() -> None:
            while not self._ends.is_set():
                try:
                    self.seen.append(read())
                except Exception as error:  # noqa: BLE001  # told by the test
                    self.faults.append(repr(error))

        self._thread = threading.Thread(target=run, daemon=True)

    def __enter__(self) -> "Reading":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()


def export_until(folder: Path, to: str, kind: str, is_time: Callable[[], bool] | None) -> str:
    """Export in a process of its own, killed at a moment; return what it said."""
    process = subprocess.Popen(
        [sys.executable, "-c", EXPORT, str(folder), to, kind],
        cwd=PROJECT_DIR,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    if is_time is not None:
        while not is_time():
            assert process.poll() is None, f"it ended before it was killed: {process.communicate()[0]}"
            time.sleep(0.002)
        family = [process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))]
        for pid in family:
            os.kill(pid, signal.SIGKILL)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == (0 if is_time is None else -signal.SIGKILL), said
    return said


@pytest.mark.slow
@NO_SERVER
def test_an_export_to_redis_that_is_killed_switches_nothing_and_is_finished_by_the_next(
    spark: SparkSession, tmp_path: Path, empty_redis: str
) -> None:
    many, users = lists_store(tmp_path), MANY["redis"]
    publish(spark, many, 1, FIRST, users)
    client, reader = client_of(empty_redis), client_of(empty_redis)
    target, key = target_of(empty_redis, "", "small"), f"lamplighter:small:{VERSIONS[SECOND]}:users"
    export_lists(many, spark, target)
    publish(spark, many, 2, SECOND, users)
    place = iter(range(10**9))

    def read() -> str:
        user = next(place) * 7919 % users
        found = read_redis(reader, user)
        assert found["user_id"] == user
        assert set(found["scores"]) == {float(found["data_date"][-2:])}
        return str(found["data_date"])

    with Reading(read) as reading:
        export_until(tmp_path, empty_redis, "", lambda: 0 < client.hlen(key) < users)
        assert 0 < client.hlen(key) < users
        assert client.get("lamplighter:small:current") == VERSIONS[FIRST]
        assert client.ttl(key) > 0  # if nobody finishes it, it goes away
        assert "written" in export_until(tmp_path, empty_redis, "", None)
        time.sleep(0.2)

    assert reading.faults == []
    first_of_second = reading.seen.index(str(SECOND))
    assert set(reading.seen[:first_of_second]) == {str(FIRST)}
    assert set(reading.seen[first_of_second:]) == {str(SECOND)}
    assert (client.hlen(key), client.ttl(key)) == (users, -1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_an_export_to_files_that_is_killed_switches_nothing_and_is_finished_by_the_next(
    spark: SparkSession, tmp_path: Path, kind: str
) -> None:
    many, users = lists_store(tmp_path), MANY["files"]
    publish(spark, many, 1, FIRST, users)
    folder = tmp_path / "small" / kind
    target, new = target_of(str(tmp_path), kind, "small"), folder / VERSIONS[SECOND]
    export_lists(many, spark, target)
    publish(spark, many, 2, SECOND, users)

    def read() -> str:
        current, rows = read_files(folder)
        assert len(rows) == rows["user_id"].nunique() == current["lists"] == users
        (day,) = {str(day)[:10] for day in rows["data_date"].unique()}
        assert day == current["data_date"]
        return day

    with Reading(read) as reading:
        export_until(tmp_path, str(tmp_path), kind, new.exists)
        assert not (new / "_manifest.json").exists()
        assert json.loads((folder / "current.json").read_text())["version"] == VERSIONS[FIRST]
        assert "written" in export_until(tmp_path, str(tmp_path), kind, None)
        seen = len(reading.seen)
        while len(reading.seen) < seen + 2:
            time.sleep(0.1)

    assert reading.faults == []
    assert sorted(set(reading.seen)) == [str(FIRST), str(SECOND)] == list(dict.fromkeys(reading.seen))
