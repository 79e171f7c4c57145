"""Rows of ranks in, one row per list out."""

from datetime import date

import pytest
from pyspark.sql import Row, SparkSession

from features.user_lists import to_user_lists

DAY = date(2022, 5, 8)
SCORES = (
    "user_id bigint, list string, data_date date, rank int, item_id string, p_click double, p_like double, "
    "score double, placement_probability double, cohort string, model_version string"
)
TAIL = ("new", "ple-1")


@pytest.mark.spark
def test_arrays_are_in_the_order_of_the_ranks_and_keep_nulls(spark: SparkSession) -> None:
    rows = [
        (1, "home", DAY, 10, "c", 0.1, None, 0.01, 0.25, *TAIL),  # as text 10 would come before 2
        (1, "home", DAY, 2, "b", 0.2, 0.02, 0.5, 1.0, *TAIL),
        (1, "shorts", DAY, 1, "a", 0.9, 0.09, 0.8, 1.0, *TAIL),
        (1, "home", DAY, 1, "a", 0.3, 0.03, 0.6, 1.0, *TAIL),
    ]

    lists = to_user_lists(spark.createDataFrame(rows, SCORES), ["user_id", "list"]).orderBy("list").collect()

    assert lists == [
        Row(
            user_id=1,
            list="home",
            items=["a", "b", "c"],
            scores=[0.6, 0.5, 0.01],
            placement_probabilities=[1.0, 1.0, 0.25],
            probabilities=Row(click=[0.3, 0.2, 0.1], like=[0.03, 0.02, None]),
            cohort="new",
            data_date=DAY,
            model_version="ple-1",
        ),
        Row(1, "shorts", ["a"], [0.8], [1.0], Row([0.9], [0.09]), "new", DAY, "ple-1"),
    ]
