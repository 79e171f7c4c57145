"""Files of the log hold what bench.cohorts draws of the same users."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from bench.cohorts.generate import ITEMS, to_log, to_users, to_world
from jobs.workers.synthetic import files
from jobs.workers.synthetic.dials import Dials
from jobs.workers.synthetic.files import write_items, write_log_file, write_users
from jobs.workers.synthetic.spec import LogSpec

USERS = 300
SPEC = LogSpec(seed=3, events_per_day=150, days=20, users=USERS, items=ITEMS)
GOLDEN = "85ef2cfcf1f4db75bf9d3beb609936b7ba2c53924a9ef0712b3803cb05d37d74"
"""Of the log of SPEC as it was before worlds had dials beside the difference of cohorts."""
SHARES = {"new": 0.0, "low": 0.0, "high": 1.0}  # pasts of at least 10 events


def test_each_row_is_the_event_that_numpy_draws(tmp_path: Path) -> None:
    for day in range(SPEC.days):
        write_log_file(SPEC, tmp_path, day, 0)
    write_users(SPEC, tmp_path, 0)
    write_items(SPEC, tmp_path, 0)
    drawn = to_log(to_world(3, Dials()), to_users(3, np.arange(USERS), SHARES), 1)

    rows = read_log(tmp_path)
    assert rows.num_rows >= 1000
    user, number = rows["user_id"].to_numpy(), places(rows["user_id"].to_numpy())
    past, kept = drawn.past, number < drawn.past.item.shape[1]
    user, number, rows = user[kept], number[kept], rows.filter(kept)
    happened = past.happened[user, number]  # what a past is too short for is no event there
    assert np.array_equal(rows["item_id"].to_numpy(), past.item[user, number])
    play_ms = np.rint(1000 * past.play_seconds[user, number])
    assert np.array_equal(rows["play_ms"].to_numpy(), play_ms)
    labels = np.stack([rows[f"is_{name}"].to_numpy() for name in ("click", "long_view", "like")], axis=1)
    assert happened.sum() >= 1000
    assert np.array_equal(labels[happened], past.labels[user, number][happened])

    users, items = (pq.read_table(tmp_path / name) for name in ("users", "items"))
    for d in range(6):
        assert np.array_equal(users[f"user_a{d + 1}"].to_numpy(), drawn.attributes[:, d])
        assert np.array_equal(items[f"item_a{d + 1}"].to_numpy(), drawn.world.item_attributes[:, d])


def test_the_log_is_to_the_bit_what_it_was_before_there_were_dials(tmp_path: Path) -> None:
    for day in range(SPEC.days):
        write_log_file(SPEC, tmp_path, day, 0)

    rows = read_log(tmp_path)

    digest = hashlib.sha256()
    for name in ("user_id", "item_id", "play_ms", "is_click", "is_long_view", "is_like", "event_time"):
        digest.update(rows[name].cast(pa.int64()).to_numpy().tobytes())
    assert digest.hexdigest() == GOLDEN


def test_a_date_in_several_files_has_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = write_log_file(SPEC, tmp_path / "one", 7, 0)
    monkeypatch.setattr(files, "ROWS_PER_FILE", 60)
    monkeypatch.setattr(files, "ROWS_AT_ONCE", 20)
    parts = [write_log_file(SPEC, tmp_path / "three", 7, part) for part in range(3)]

    assert sum(parts, Counter()) == +whole
    assert read_log(tmp_path / "three").equals(read_log(tmp_path / "one"))


def test_faults_are_in_the_rows_as_they_are_counted(tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"late": 0.2, "duplicates": 0.2, "broken": 0.4})

    counts = [write_log_file(spec, tmp_path, day, 0) for day in range(spec.days)]

    rows, counted = read_log(tmp_path), Counter[str]()
    for of_file in counts:
        for (_, fate), number in of_file.items():
            counted[fate] += number
    assert rows["user_id"].null_count == counted["no_user"]
    assert rows["event_time"].null_count == counted["no_time"]
    assert pc.sum(pc.equal(rows["is_click"], 7)).as_py() == counted["wrong_click"]
    assert pc.sum(pc.equal(rows["play_ms"], -1)).as_py() == counted["wrong_seconds"]
    assert rows.num_rows == sum(counted.values()) + counted["duplicate"]
    assert rows.num_rows - rows.group_by(rows.column_names).aggregate([]).num_rows == counted["duplicate"]


def read_log(folder: Path) -> pa.Table:
    tables = [pq.read_table(file) for file in sorted((folder / "log").rglob("*.parquet"))]
    return (
        pa.concat_tables(tables)
        .combine_chunks()
        .sort_by([("user_id", "ascending"), ("event_time", "ascending")])
    )


def places(user: np.ndarray) -> np.ndarray:
    """Return each row's place among those of its user; rows are in the order of users and time."""
    _, first, counts = np.unique(user, return_index=True, return_counts=True)
    return np.arange(len(user)) - np.repeat(first, counts)
