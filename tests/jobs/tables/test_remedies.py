"""What a message says to do about a lost or broken file is done here, and helps."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from core.errors import LamplighterError
from jobs.tables.store import Store
from jobs.tables.table import Table
from tests.jobs.tables.small import DATE, DAY, LONG, NEXT, RUNS, row, small_store

PROMOTIONS = Table(
    "promotions", ("data_date", "decision_no"), {"data_date": DATE, "decision_no": LONG, "value": LONG}
)
USERS = Table("users", ("user_id",), {"user_id": LONG}, partition=())


def decide(store: Store, number: int, day: object = DAY) -> None:
    """Replace one decision, as `promote` does: it shares its data date's files with others."""
    rows = [{"data_date": day, "decision_no": number, "value": 1}]
    where = f"data_date = '{day}' AND decision_no = {number}"
    store.replace_rows("promotions", rows, "test", {"run_id": f"{day} {number}"}, where)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Three decisions, two runs, no users."""
    store = small_store(tmp_path, PROMOTIONS, USERS, RUNS)
    for number, day in ((1, DAY), (2, DAY), (1, NEXT)):
        decide(store, number, day)
    for name in ("a", "b"):
        store.append_rows("runs", [row(name)], "test", {"run_id": name})
    return store


def damage(file: Path, is_lost: bool) -> None:
    file.unlink() if is_lost else file.write_bytes(file.read_bytes()[:20])


def fault_of(store: Store, table: str) -> str:
    with pytest.raises(LamplighterError) as caught:
        store.rows(table)
    return str(caught.value)


def follow(text: str, file: Path) -> None:
    """Do what a message says, up to the jobs that it says to run."""
    if "or delete it" in text:
        file.unlink()
    if found := re.search(r'python -c "(.*?)"', text):
        subprocess.run([sys.executable, "-c", found[1]], check=True)


@pytest.mark.parametrize("is_lost", [True, False], ids=["lost", "cut off"])
@pytest.mark.parametrize(
    ("table", "again"),
    [
        ("promotions", "run the job that writes promotions for data date 2022-05-07 again"),
        ("runs", "the steps whose runs are lost then run again (start with `lamplighter history` over all"),
    ],
)
def test_a_lost_file_of_a_small_table_leaves_the_log_and_its_rows_are_written_again(
    store: Store, table: str, again: str, is_lost: bool
) -> None:
    file = store.files(table)[0]
    rows = store.rows(table)
    damage(file, is_lost)

    text = fault_of(store, table)
    assert again in text
    follow(text, file)
    left = store.rows(table)
    assert 0 < len(left) < len(rows)
    write: dict[str, Any] = {
        "promotions": lambda lost: decide(store, lost["decision_no"]),
        "runs": lambda lost: store.append_rows("runs", [lost], "test", {}),
    }
    for lost in [each for each in rows if each not in left]:
        write[table](lost)
    assert sorted(map(str, store.rows(table))) == sorted(map(str, rows))


@pytest.mark.parametrize("is_lost", [True, False], ids=["lost", "cut off"])
def test_a_lost_file_of_a_large_table_is_replaced_by_its_job(
    store: Store, spark: SparkSession, is_lost: bool
) -> None:
    users = spark.createDataFrame([(1,), (2,), (3,)], USERS.schema).coalesce(1)
    store.replace("users", users, "true", {}, 3)
    (file,) = store.files("users")
    damage(file, is_lost)

    text = fault_of(store, "users")
    assert text.endswith("run the job that writes users again, which replaces it")
    follow(text, file)
    assert not store.is_whole("users")  # so that ingest does not leave the table as it is
    store.replace("users", users, "true", {}, 3)
    assert store.is_whole("users")
    assert len(store.rows("users")) == 3


@pytest.mark.parametrize("content", ["garbage", ""])
def test_a_broken_last_commit_is_deleted_and_shows_as_lost(store: Store, content: str) -> None:
    file = store.catalog.path("runs") / "_delta_log" / f"{2:020}.json"
    file.write_text(content)

    text = fault_of(store, "runs")
    assert "Restore it, or delete it, with 00000000000000000002.crc where there is one: " in text
    follow(text, file)
    assert [r["run_id"] for r in store.rows("runs")] == ["a"]
    assert 2 not in store.commits("runs")
    store.append_rows("runs", [row("b")], "test", {})
    assert len(store.rows("runs")) == 2


def test_a_log_with_a_gap_is_moved_away_and_the_table_begins_anew(store: Store) -> None:
    folder = store.catalog.path("runs")
    (folder / "_delta_log" / f"{1:020}.json").unlink()

    text = fault_of(store, "runs")
    assert f"move {folder} away: the steps whose runs are lost then run again" in text
    folder.rename(folder.with_name("runs_of_before"))
    assert store.rows("runs") == []
    store.append_rows("runs", [row("c")], "test", {})
    assert len(store.rows("runs")) == 1
