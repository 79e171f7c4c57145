from datetime import datetime

import pytest
from pyspark.sql import SparkSession

from core.errors import ConfigError
from core.schema import Candidates, Config
from features.candidates import to_item_pool

ITEMS = "item_id bigint, item_impression_count_3d bigint, item_first_event_time_all timestamp"


def seen(day: int) -> datetime:
    return datetime(2022, 5, day)


def test_the_pool_is_the_most_shown_and_beside_them_the_newest(spark: SparkSession, config: Config) -> None:
    items = spark.createDataFrame(
        [
            (1, 5, seen(1)),
            (2, 9, seen(9)),  # most shown and newest: counted once
            (4, 3, seen(2)),  # loses its tie with 3
            (3, 3, seen(1)),
            (6, 0, seen(7)),
            (5, 0, seen(7)),  # wins its tie with 6
            (7, 1, seen(8)),
            (8, 0, None),  # never seen
        ],
        ITEMS,
    )

    pool = to_item_pool(items, config.candidates, "impression_count")
    all_seen = to_item_pool(items, config.candidates.model_copy(update={"newest": 99}), "impression_count")

    assert sorted(row["item_id"] for row in pool.collect()) == [1, 2, 3, 5, 7]
    assert sorted(row["item_id"] for row in all_seen.collect()) == [1, 2, 3, 4, 5, 6, 7]


def test_a_window_that_is_not_counted_is_a_configuration_error(spark: SparkSession) -> None:
    candidates = Candidates(most_shown=1, window="9d", newest=1)
    with pytest.raises(ConfigError, match="item features have no item_views_9d; declare aggregate views of"):
        to_item_pool(spark.createDataFrame([], ITEMS), candidates, "views")
