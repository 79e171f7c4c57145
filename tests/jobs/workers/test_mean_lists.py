"""Lists while no model serves: means of the users' cohort, computed where a model would."""

from datetime import date
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from core.errors import LamplighterError
from core.lists import ItemList
from core.schema import Config
from tests.features.small import rows_of, small_config
from tests.jobs.workers.mean_lists import mean_lists

DAY = date(2022, 5, 7)
ITEMS = "item_id bigint, item_cohort string, item_tag string, item_impression_count_3d bigint"
POOLS = "list string, user_cohort string, item_id bigint"
MEANS = "task string, user_cohort string, group_value string, rate double"
COHORTS = ("new", "low", "high")


@pytest.fixture(scope="module")
def config() -> Config:
    return small_config()


@pytest.fixture
def means(spark: SparkSession) -> DataFrame:
    rows = [
        ("click", "", "", 0.2), ("play", "", "", 9.0),
        ("click", "new", "", 0.4), ("play", "new", "", 8.0),
        ("click", "new", "a", 0.7), ("play", "new", "a", 7.0),
        ("click", "new", "b", 0.1),
    ]  # fmt: skip
    return spark.createDataFrame(rows, MEANS)


@pytest.fixture
def items(spark: SparkSession) -> DataFrame:
    rows = [
        (1, "new", "b", 9),
        (2, "new", None, 3),
        (3, "new", "a", 1),  # the best group; shown less than 5
        (4, "old", "a", 1),  # loses its tie with 3
        (5, "old", "a", 7),
        (6, "old", "a", 99),  # in no pool
    ]
    return spark.createDataFrame(rows, ITEMS)


@pytest.fixture
def users(spark: SparkSession) -> DataFrame:
    rows = [(10, DAY, "new"), (11, DAY, "new"), (12, DAY, "high")]
    return spark.createDataFrame(rows, "user_id bigint, data_date date, user_cohort string")


def pools_of(spark: SparkSession, by_cohort: dict[str, tuple[int, ...]]) -> DataFrame:
    return spark.createDataFrame(
        [("home", cohort, item) for cohort, items in by_cohort.items() for item in items], POOLS
    )


def with_list(config: Config, **changes: Any) -> Config:
    home = config.lists["home"].model_copy(update=changes)
    return config.model_copy(update={"lists": {"home": home}})


def places(lists: DataFrame) -> list[tuple[int, int, int]]:
    return [(row["user_id"], row["rank"], row["item_id"]) for row in rows_of(lists, "user_id", "rank")]


def test_users_of_a_cohort_have_one_list_ties_by_most_shown_then_by_item(
    spark: SparkSession, config: Config, users: DataFrame, items: DataFrame, means: DataFrame
) -> None:
    config = with_list(config, top_k=3)
    pools = pools_of(spark, dict.fromkeys(COHORTS, (4, 1, 5, 3, 2)))

    lists = mean_lists(users, items, pools, means, config, DAY)

    assert places(lists) == [
        (10, 1, 5), (10, 2, 3), (10, 3, 4),
        (11, 1, 5), (11, 2, 3), (11, 3, 4),
        (12, 1, 1), (12, 2, 5), (12, 3, 2),  # one mean for all items: most shown first
    ]  # fmt: skip
    (first, *_) = rows_of(lists, "user_id", "rank")
    bucket = first.pop("bucket")
    assert bucket == 0
    assert first == {
        "user_id": 10, "data_date": DAY, "list": "home", "rank": 1, "item_id": 5, "p_click": 0.7,
        "score": pytest.approx(0.7), "placement_probability": 1.0, "cohort": "new",
        "model_version": "group_mean",
    }  # fmt: skip


def test_each_cohort_is_scored_against_its_own_pool(
    spark: SparkSession, config: Config, users: DataFrame, items: DataFrame, means: DataFrame
) -> None:
    pools = pools_of(spark, {"new": (1, 2, 4), "low": (5,), "high": (3,)})

    lists = mean_lists(users, items, pools, means, with_list(config, top_k=2), DAY)

    assert places(lists) == [(10, 1, 4), (10, 2, 2), (11, 1, 4), (11, 2, 2), (12, 1, 3)]


def test_a_cohort_without_items_has_no_list_and_a_list_without_items_is_refused(
    spark: SparkSession, config: Config, users: DataFrame, items: DataFrame, means: DataFrame
) -> None:
    of_new = mean_lists(users, items, pools_of(spark, {"new": (5,)}), means, config, DAY)

    assert {row["cohort"] for row in of_new.collect()} == {"new"}
    with pytest.raises(LamplighterError, match=f"list home has no item as of {DAY}"):
        mean_lists(users, items, pools_of(spark, {"x": ()}), means, config, DAY)


def test_without_items_each_user_has_the_means_of_its_cohort(
    spark: SparkSession, config: Config, users: DataFrame, items: DataFrame, means: DataFrame
) -> None:
    nothing = ItemList(context={"tab": 1}, ranking="none")
    config = config.model_copy(update={"lists": {"persons": nothing}})

    lists = rows_of(mean_lists(users, items, pools_of(spark, {"x": ()}), means, config, DAY), "user_id")

    assert [(row["user_id"], row["list"], row["rank"], row["p_click"], row["p_play"]) for row in lists] == [
        (10, "persons", 1, 0.4, 8.0),
        (11, "persons", 1, 0.4, 8.0),
        (12, "persons", 1, 0.2, 9.0),
    ]
    empty = {(row["item_id"], row["score"], row["placement_probability"]) for row in lists}
    assert empty == {(None, None, None)}
