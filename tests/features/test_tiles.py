from datetime import date, datetime
from decimal import Decimal

import pytest
from pyspark.sql import SparkSession

from core.errors import ConfigError
from core.features import Aggregate, FeatureGroup
from core.schema import Config
from features.tiles import to_daily_tiles
from tests.features.small import Event, rows_of, to_frame


def test_a_days_events_become_one_tile_a_user(spark: SparkSession, config: Config) -> None:
    events = to_frame(
        spark,
        [
            Event(user=1, item=7, day=1, click=1, seconds="0.1", tab=2, hour=9),
            Event(user=1, item=8, day=1, click=1, seconds="0.2", tab=1, hour=8),
            Event(user=1, item=8, day=1, click=0, seconds="9.5", tab=1, hour=10),
            Event(user=1, item=7, day=2, click=0, seconds="1"),
        ],
    )

    tiles = to_daily_tiles(events, "user", config.features.user, config.behaviours)

    assert rows_of(tiles, "user_id", "data_date") == [
        {
            "user_id": 1,
            "data_date": date(2022, 5, 1),
            "first_event_time": datetime(2022, 5, 1, 8),
            "impression_count": 3,
            "click_count": 2,
            "tab_1_count": 2,
            "play_seconds": Decimal("9.800"),
            "longest_click_seconds": Decimal("0.200"),  # 9.5 s were without a click
            "lowest_tab": 1,
        },
        {
            "user_id": 1,
            "data_date": date(2022, 5, 2),
            "first_event_time": datetime(2022, 5, 2, 12),
            "impression_count": 1,
            "click_count": 0,
            "tab_1_count": 0,
            "play_seconds": Decimal("1.000"),
            "longest_click_seconds": None,
            "lowest_tab": 0,
        },
    ]
    assert dict(tiles.dtypes) | {"click_count": "bigint", "play_seconds": "decimal(22,3)"} == dict(
        tiles.dtypes
    )


def test_a_sum_without_rows_is_zero_not_null(spark: SparkSession, config: Config) -> None:
    clicked = Aggregate(
        name="clicked_seconds", agg="sum", of="play_seconds", where="is_click = 1", windows=("1d",)
    )
    features = FeatureGroup(aggregates=(clicked,))

    tiles = to_daily_tiles(
        to_frame(spark, [Event(user=1, item=7, day=1, seconds="5")]), "item", features, config.behaviours
    )

    assert [(row["item_id"], row["clicked_seconds"]) for row in tiles.collect()] == [(7, Decimal("0.000"))]


def test_only_behaviours_can_be_summed(spark: SparkSession, config: Config) -> None:
    features = FeatureGroup(aggregates=(Aggregate(name="tabs", agg="sum", of="tab", windows=("1d",)),))

    with pytest.raises(ConfigError, match="aggregate tabs sums 'tab', which is no behaviour"):
        to_daily_tiles(to_frame(spark, []), "user", features, config.behaviours)
