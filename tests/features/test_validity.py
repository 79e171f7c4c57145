"""Attributes that change slowly: versions follow from the set of what was delivered, in any order."""

import random
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from features.validity import to_versions, with_snapshots

ROWS = "user_id string, valid_from date, valid_to date, city string, age int"
SNAPSHOT = "user_id string, valid_from date, city string, age int"
DAY = date(2024, 2, 27)  # a leap day follows
Value = tuple[str | None, int | None]
Snapshot = dict[str, Value]
Row = tuple[str, date, date | None, str | None, int | None]


def day(number: int) -> date:
    return DAY + timedelta(days=number)


def oracle(snapshots: dict[date, Snapshot]) -> list[Row]:
    """The versions of a set of snapshots, one key and one snapshot at a time."""
    found: list[Row] = []
    for key in sorted({key for snapshot in snapshots.values() for key in snapshot}):
        begun: tuple[date, Value] | None = None
        for at in sorted(snapshots):
            value = snapshots[at].get(key)
            if begun is not None and begun[1] != value:
                found.append((key, begun[0], at, *begun[1]))
                begun = None
            if begun is None and value is not None:
                begun = (at, value)
        if begun is not None:
            found.append((key, begun[0], None, *begun[1]))
    return found


def frame(spark: SparkSession, snapshots: dict[date, Snapshot]) -> DataFrame:
    rows = [(key, at, *value) for at, snapshot in snapshots.items() for key, value in snapshot.items()]
    return spark.createDataFrame(rows, SNAPSHOT)


def rows_of(versions: DataFrame) -> list[Row]:
    return sorted((tuple(row) for row in versions.collect()), key=lambda row: row[:2])  # type: ignore[arg-type]


def taken_in(
    spark: SparkSession, versions: DataFrame, known: dict[date, Snapshot], new: dict[date, Snapshot]
) -> DataFrame:
    """Take in some snapshots as a refresh does: with the dates of all that are known."""
    dates = sorted({*known, *new})
    ends: dict[date, date | None] = {**dict(pairwise(dates)), dates[-1]: None}
    return with_snapshots(versions, frame(spark, new), {at: ends[at] for at in new}, "user_id")


VALUES = st.tuples(st.sampled_from([None, "Köln", "京都"]), st.sampled_from([None, 1]))
SNAPSHOTS = st.dictionaries(
    st.integers(0, 5).map(day), st.dictionaries(st.sampled_from("abc"), VALUES), min_size=1
)


@pytest.mark.slow
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(snapshots=SNAPSHOTS, wrong=SNAPSHOTS, seed=st.integers(0, 99), batch=st.integers(1, 3))
def test_versions_are_a_function_of_the_set_of_snapshots(
    spark: SparkSession, snapshots: dict[date, Snapshot], wrong: dict[date, Snapshot], seed: int, batch: int
) -> None:
    """Some snapshots come first with a wrong content and are corrected; all come in any order, one twice."""
    chance = random.Random(seed)
    arrivals = [(at, wrong[at]) for at in wrong if at in snapshots]
    rest = list(snapshots.items())
    chance.shuffle(rest)
    arrivals += [*rest, rest[0]]
    versions, known = spark.createDataFrame([], ROWS), dict[date, Snapshot]()
    for begin in range(0, len(arrivals), batch):
        new = dict(arrivals[begin : begin + batch])
        versions = taken_in(spark, versions, known, new).localCheckpoint()
        known |= new

    assert rows_of(versions) == oracle(snapshots)


def test_a_key_that_a_later_snapshot_lacks_is_not_valid_from_its_date_on(spark: SparkSession) -> None:
    snapshots: dict[date, Snapshot] = {
        day(0): {"a": ("Köln", 1), "b": ("Köln", 1)},
        day(1): {"a": ("Köln", 1)},
        day(3): {"a": ("Bonn", 1), "b": ("Köln", 1)},
    }

    versions = taken_in(spark, spark.createDataFrame([], ROWS), {}, snapshots)

    assert rows_of(versions) == [
        ("a", day(0), day(3), "Köln", 1),  # no change of value, no new version
        ("a", day(3), None, "Bonn", 1),
        ("b", day(0), day(1), "Köln", 1),
        ("b", day(3), None, "Köln", 1),
    ]


def test_a_change_holds_up_to_the_next_one_and_the_last_of_a_day_counts(spark: SparkSession) -> None:
    changes: list[Any] = [
        ("a", day(0), 9, "Köln", 1),
        ("a", day(0), 17, "Bonn", None),
        ("a", day(2), 1, "Bonn", None),  # nothing changes
        ("a", day(4), 1, "Köln", 1),
        ("b", day(1), 1, "Köln", 1),
        ("b", day(1), 1, "Köln", 2),  # at the same instant: the larger
    ]
    columns = "user_id string, valid_from date, changed_at int, city string, age int"

    forward = rows_of(to_versions(spark.createDataFrame(changes, columns), "user_id"))
    backward = rows_of(to_versions(spark.createDataFrame(changes[::-1] + changes, columns), "user_id"))

    assert (
        forward
        == backward
        == [
            ("a", day(0), day(4), "Bonn", None),
            ("a", day(4), None, "Köln", 1),
            ("b", day(1), None, "Köln", 2),
        ]
    )
