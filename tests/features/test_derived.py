"""Columns that functions derive from events: each function sees one data date."""

from datetime import date
from decimal import Decimal

import pytest
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from core.derived import Derived
from core.errors import ConfigError
from features.derived import with_derived
from tests.features.small import Event, rows_of, to_frame

GAPS = Derived.model_validate(
    {
        "call": "functions/gaps.py:with_gaps",
        "columns": {
            "is_first": {"from": "gap IS NULL", "kind": "binary"},
            "gap_seconds": {"from": "gap", "kind": "seconds", "unit": "h"},
        },
    }
)
DATES = [date(2022, 5, 1), date(2022, 5, 2)]


def with_gaps(events: DataFrame) -> DataFrame:
    """Hours since the user's event before; nothing of item 9."""
    before = F.lag("event_time").over(Window.partitionBy("user_id").orderBy("event_time"))
    hours = F.timestamp_diff("HOUR", before, F.col("event_time"))
    return events.select("event_id", "item_id", hours.alias("gap")).where(F.col("item_id") != 9)


def test_a_function_sees_one_date_and_its_columns_are_read_as_declared(spark: SparkSession) -> None:
    events = [
        Event(user=1, item=1, day=1, hour=10),
        Event(user=1, item=2, day=1, hour=13),
        Event(user=1, item=1, day=2, hour=9),  # the day before is not seen
        Event(user=1, item=9, day=2, hour=11),  # left out
    ]

    found = with_derived(to_frame(spark, events), {"gaps": GAPS}, {"gaps": with_gaps}, DATES)

    assert [(row["is_first"], row["gap_seconds"]) for row in rows_of(found, "event_time")] == [
        (1, None),
        (0, Decimal(3 * 3600)),
        (1, None),
        (None, None),
    ]
    assert dict(found.dtypes)["gap_seconds"] == "decimal(12,3)"


def test_a_function_returns_event_ids(spark: SparkSession) -> None:
    events = to_frame(spark, [])

    with pytest.raises(ConfigError, match=r"derived.gaps: functions/gaps.py:with_gaps returns columns \['u"):
        with_derived(events, {"gaps": GAPS}, {"gaps": lambda each: each.select("user_id")}, DATES)
