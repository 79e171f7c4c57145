"""Profiles: what is counted adds up to the rows, ends of bins occur, equal rows make equal profiles."""

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from features.profiles import Bin, Profile, joined_bins, to_profiles

DAY = date(2022, 5, 7)
COLUMNS = """data_date date, count bigint, seconds decimal(12,3), rate double, code int, city string,
    is_new boolean, tags array<string>, first_time timestamp, last_date date"""


def test_nulls_bins_and_frequent_values_are_counted(spark: SparkSession) -> None:
    def row(number: int) -> tuple[object, ...]:
        many = number >= 20
        return (
            DAY,
            number if many else 0,
            Decimal("-1.5") if number == 0 else Decimal("1e8"),
            float("nan") if number == 1 else None if number == 2 else 0.5,
            number % 2,
            f"{number // 3:03}" if many else None,
            many,
            ["a", "b"],
            datetime(2022, 5, 6, 15 + number % 2, 59, tzinfo=UTC),  # 23:59 in Shanghai, and 00:59 of 05-07
            None,
        )

    rows = spark.createDataFrame([row(number) for number in range(40)], COLUMNS)
    names = rows.columns[1:]

    found = {
        each.feature: each for each in to_profiles(rows.repartition(3), names, {"code"}, "Asia/Shanghai")
    }

    assert list(found) == names
    assert {each.rows for each in found.values()} == {40}
    assert {name: found[name].nulls for name in names if found[name].nulls} == {
        "rate": 2, "city": 20, "last_date": 40,
    }  # fmt: skip
    assert found["count"].bins[0] == Bin(0, 0, 20)
    assert found["count"].bins[1].low == 20
    assert found["count"].bins[-1].high == 39
    assert sum(each.rows for each in found["count"].bins) == 40
    assert found["seconds"].bins == (Bin(-1.5, -1.5, 1), Bin(1e8, 1e8, 39))
    assert found["rate"].bins == (Bin(0.5, 0.5, 38),)
    assert found["code"].values == (("0", 20), ("1", 20))
    assert found["city"].values[:2] == (("007", 3), ("008", 3))
    assert found["is_new"].values == (("false", 20), ("true", 20))
    assert found["tags"].values == (("[a, b]", 40),)
    assert found["first_time"].bins == (Bin(0, 0, 20), Bin(1, 1, 20))  # days before the data date
    assert found["last_date"].bins == ()


def test_at_most_ten_values_are_kept_with_nulls_or_without(spark: SparkSession) -> None:
    rows = [(DAY, f"{n:02}", None if n == 0 else f"{n:02}") for n in range(15)]
    frame = spark.createDataFrame(rows, "data_date date, full string, city string")

    full, city = to_profiles(frame, ["full", "city"], (), "UTC")

    assert [value for value, _ in full.values] == [f"{n:02}" for n in range(10)]
    assert [value for value, _ in city.values] == [f"{n:02}" for n in range(1, 11)]
    assert (full.nulls, city.nulls) == (0, 1)


def test_a_table_without_rows_has_empty_profiles(spark: SparkSession) -> None:
    frame = spark.createDataFrame([], "data_date date, count bigint, city string")

    assert to_profiles(frame, ["count", "city"], (), "UTC") == [Profile("count", 0, 0), Profile("city", 0, 0)]


@given(st.lists(st.integers(1, 1000), max_size=60))
def test_joined_bins_keep_rows_and_order_and_leave_large_ones_alone(sizes: list[int]) -> None:
    fine = [Bin(place, place + 0.5, rows) for place, rows in enumerate(sizes)]

    joined = joined_bins(fine)

    total = sum(sizes)
    assert sum(each.rows for each in joined) == total
    assert [low for low, _, _ in joined] == sorted(low for low, _, _ in joined)
    assert all(left.high < right.low for left, right in pairwise(joined))
    assert all(each in joined for each in fine if each.rows * 10 >= total)
    small = [each.rows * 10 < total for each in joined]
    assert not any(left and right for left, right in pairwise(small))
    assert len(joined) <= 20


@pytest.mark.parametrize(
    ("sizes", "expected"), [([], []), ([7], [7]), ([1, 1, 98], [2, 98]), ([98, 1, 1], [98, 2])]
)
def test_small_neighbours_are_joined(sizes: list[int], expected: list[int]) -> None:
    assert [each.rows for each in joined_bins([Bin(n, n, rows) for n, rows in enumerate(sizes)])] == expected
