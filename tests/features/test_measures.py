"""Estimates are near the truth and do not depend on the order of rows; a sum that overflows is an error."""

from datetime import date
from decimal import Decimal
from statistics import mean

import pytest
from pyspark.errors import ArithmeticException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.features import FeatureGroup
from core.schema import Config
from features.entities import to_known_keys
from features.tiles import to_daily_tiles
from features.windows import no_state, to_features
from tests.features.small import USERS, Event, may, to_frame

KEYS, VALUES = 40, 4_000
DISTINCT = FeatureGroup.model_validate(
    {"aggregates": [{"name": "items", "agg": "distinct", "of": "item_id", "windows": ["3d"]}]}
)


def test_an_estimate_has_a_small_error_and_is_the_same_over_one_day_and_over_three(
    spark: SparkSession,
) -> None:
    first, last = date(2022, 5, 1), date(2022, 5, 3)
    number = F.col("id")
    events = (
        spark.range(2 * KEYS * VALUES)
        .withColumn("event_id", number.cast("string"))
        .withColumn("event_time", F.lit(may(1)))
        .withColumn("item_id", F.pmod(number, F.lit(KEYS * VALUES)))
        # Users below KEYS met their items in one order on one day; the others the same in another, on three.
        .withColumn("is_twin", number >= KEYS * VALUES)
        .withColumn("user_id", F.pmod("item_id", F.lit(KEYS)) + F.when(F.col("is_twin"), KEYS).otherwise(0))
        .withColumn("day", F.when(F.col("is_twin"), F.pmod(F.xxhash64("item_id"), F.lit(3))).otherwise(2))
        .withColumn("data_date", F.date_add(F.lit(first), F.col("day").cast("int")))
    )
    tiles = to_daily_tiles(events.repartition(3, "event_id"), "user", DISTINCT, {})
    state = no_state(tiles, DISTINCT, "user")
    keys = to_known_keys(None, tiles, state, "user", last, last)

    rows = to_features(keys, tiles, state, None, DISTINCT, "user", last, last).collect()

    found = {row["user_id"]: row["user_items_3d"] for row in rows}
    assert len(found) == 2 * KEYS
    assert all(found[key] == found[key + KEYS] for key in range(KEYS))
    errors = [abs(found[key] / VALUES - 1) for key in range(KEYS)]
    assert mean(errors) < 0.02  # the standard error is 1.6 %
    assert max(errors) < 0.07


def test_a_sum_that_does_not_fit_is_an_error(spark: SparkSession, config: Config) -> None:
    features, days = config.features.user, [date(2022, 5, 1), date(2022, 5, 2)]
    events = to_frame(spark, [Event(user=1, item=1, day=1), Event(user=1, item=1, day=2, seconds="1")])
    tiles = to_daily_tiles(events, "user", features, config.behaviours).localCheckpoint()
    users = spark.createDataFrame([], USERS)

    def built(day: date, state: DataFrame) -> DataFrame:
        up_to = tiles.where(F.col("data_date") <= day)
        keys = to_known_keys(users, up_to, state, "user", day, day)
        return to_features(keys, up_to, state, users, features, "user", day, day)

    before = built(days[0], no_state(tiles, features, "user"))
    for column, largest in (
        ("user_play_seconds_all", Decimal("9" * 19 + ".999")),
        ("user_impression_count_all", 2**63 - 1),
    ):
        kind = dict(before.dtypes)[column]
        with pytest.raises(ArithmeticException):
            built(days[1], before.withColumn(column, F.lit(largest).cast(kind))).collect()
