from datetime import datetime
from decimal import Decimal

from pyspark.sql import SparkSession

from features.casts import read_as, read_id


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
