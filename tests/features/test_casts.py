from datetime import datetime
from decimal import Decimal

import pytest
from pyspark.sql import SparkSession

from core.source import Behaviour, Mapping
from features.casts import read_as, read_behaviour, read_id, read_mapping


def test_what_is_no_such_value_is_null_and_a_fraction_is_no_integer(spark: SparkSession) -> None:
    rows = spark.createDataFrame(
        [("7", 2.0), ("x", 0.5), ("300", None), ("1.5", 1e12)], "text string, number double"
    )

    read = rows.select(
        read_as("text", "tinyint", rows), read_as("number", "int", rows), read_as("text", "string", rows)
    ).collect()

    assert [tuple(row) for row in read] == [
        (7, 2, "7"),
        (None, None, "x"),
        (None, None, "300"),
        (None, None, "1.5"),
    ]


def test_an_unreadable_value_under_an_operator_is_null(spark: SparkSession) -> None:
    rows = spark.createDataFrame([("1500",), ("soon",), ("",), (None,)], "play_ms string")

    found = rows.select(read_as("play_ms / 1000", "decimal(12,3)", rows).alias("v")).collect()

    assert [row["v"] for row in found] == [Decimal("1.500"), None, None, None]


def test_a_time_outside_of_the_calendar_is_null(spark: SparkSession) -> None:
    millis = [0, 253_402_300_800_000, 2**63 - 1, -(2**63), 4_102_444_800_000]  # 10000-01-01 is the second
    rows = spark.createDataFrame([(value,) for value in millis], "ms bigint")

    found = rows.select(read_as("timestamp_millis(ms)", "timestamp", rows).alias("t")).collect()

    assert [row["t"] for row in found] == [datetime(1970, 1, 1), None, None, None, datetime(2100, 1, 1)]


def test_an_empty_id_is_null(spark: SparkSession) -> None:
    rows = spark.createDataFrame([("",), ("0",), (" ",), ("é:1",)], "key string")

    found = rows.select(read_id("key", "string", rows), read_id("key", "bigint", rows)).collect()

    assert [tuple(row) for row in found] == [(None, None), ("0", 0), (" ", None), ("é:1", None)]


@pytest.mark.parametrize(
    ("declared", "text", "expected"),
    [
        ({"unit": "s"}, "1709164800", "2024-02-29 00:00:00"),
        ({"unit": "s"}, "1709164800.5", "2024-02-29 00:00:00.5"),
        ({"unit": "ms"}, "1709164800123", "2024-02-29 00:00:00.123"),
        ({"unit": "us"}, "1709164800123456", "2024-02-29 00:00:00.123456"),
        ({"unit": "s"}, "soon", None),
        ({"unit": "ms"}, "99999999999999999", None),  # beyond the year 9999
        ({}, "2024-02-29T10:00:00+02:00", "2024-02-29 08:00:00"),
        ({}, "2024-02-29 10:00:00", "2024-02-29 10:00:00"),
        ({"zone": "America/New_York"}, "2024-02-29 10:00:00", "2024-02-29 15:00:00"),
        ({"zone": "America/New_York"}, "2024-02-29T10:00:00Z", "2024-02-29 10:00:00"),
        ({"zone": "America/New_York"}, "2024-03-10 02:30:00", "2024-03-10 07:30:00"),  # the clocks skip it
        ({"zone": "America/New_York"}, "2024-11-03 01:30:00", "2024-11-03 05:30:00"),  # it comes twice
        ({"zone": "America/New_York"}, "02/29/2024", None),
    ],
)
def test_times_are_read_as_they_are_declared(
    spark: SparkSession, declared: dict[str, str], text: str, expected: str | None
) -> None:
    rows = spark.createDataFrame([(text,)], "t string")
    mapping = Mapping.model_validate({"from": "t", "type": "timestamp"} | declared)

    (row,) = rows.select(read_mapping(mapping, rows).cast("string")).collect()

    assert row[0] == expected


@pytest.mark.parametrize(
    ("declared", "text", "expected"),
    [
        ({"kind": "seconds", "unit": "ms"}, "1500", Decimal("1.500")),
        ({"kind": "seconds", "unit": "min"}, "1.5", Decimal("90.000")),
        ({"kind": "seconds", "unit": "h"}, "2", Decimal("7200.000")),
        ({"kind": "number", "range": [0, 5], "decimals": 1}, "4.5", Decimal("4.5")),
        ({"kind": "number", "range": [-10, 10], "decimals": 0}, "-3", Decimal("-3")),
        ({"kind": "number", "range": [0, 5]}, "good", None),
        ({"kind": "binary"}, "1", 1),
    ],
)
def test_behaviours_are_read_in_their_unit(
    spark: SparkSession, declared: dict[str, object], text: str, expected: object
) -> None:
    rows = spark.createDataFrame([(text,)], "b string")
    behaviour = Behaviour.model_validate({"from": "b"} | declared)

    (row,) = rows.select(read_behaviour(behaviour, rows)).collect()

    assert row[0] == expected
