"""Which items each cohort, and each user, is scored against."""

from datetime import date, datetime
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from core.lists import ItemList
from core.schema import Config
from features.pools import event_days, to_pools, to_user_pools

ITEMS = """item_id bigint, item_impression_count_3d bigint, item_impression_count_1d bigint,
    item_first_event_time_all timestamp, item_tag string, item_cohort string"""
EVENTS = "user_id bigint, item_id bigint, is_click tinyint, play_seconds double, data_date date"
COHORTS = "user_id bigint, cohort string"
D = date(2022, 5, 9)


def seen(day: int) -> datetime:
    return datetime(2022, 5, day)


def day(number: int) -> date:
    return date(2022, 5, number)


@pytest.fixture(scope="module")
def items(spark: SparkSession) -> DataFrame:
    rows = [
        (1, 5, 1, seen(1), "a", "old"),
        (2, 9, 9, seen(9), "b", "old"),  # most shown and newest
        (4, 3, 0, seen(2), "a", "old"),  # loses its tie with 3
        (3, 3, 1, seen(1), "b", "old"),
        (6, 0, 0, seen(7), "a", "new"),
        (5, 0, 0, seen(7), None, "new"),
        (7, 1, 1, seen(8), "b", "new"),
        (8, 0, 0, None, "c", "new"),  # never seen
    ]
    return spark.createDataFrame(rows, ITEMS)


@pytest.fixture(scope="module")
def cohorts(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([(1, "new"), (2, "low"), (3, "low")], COHORTS)


@pytest.fixture(scope="module")
def events(spark: SparkSession) -> DataFrame:
    rows = [
        (1, 6, 1, 0.0, day(9)),
        (2, 4, 1, 0.0, day(9)),
        (2, 4, 1, 0.0, day(8)),
        (2, 1, 1, 0.0, day(9)),
        (3, 1, 1, 0.0, day(7)),
        (3, 3, 1, 0.0, day(9)),
        (3, 7, 0, 0.0, day(9)),  # shown, not clicked
        (3, 2, 1, 0.0, day(6)),  # before the last three days
        (99, 2, 1, 0.0, day(9)),  # of no cohort
    ]
    return spark.createDataFrame(rows, EVENTS)


def with_lists(config: Config, **lists: dict[str, Any]) -> Config:
    usual = {"context": {"tab": 1}, "ranking": {"click": 1.0}, "top_k": 2}
    found = {name: ItemList.model_validate(usual | own) for name, own in lists.items()}
    return config.model_copy(update={"lists": found})


def pools_of(
    items: DataFrame, events: DataFrame, cohorts: DataFrame, config: Config, **own: DataFrame
) -> dict[tuple[str, str], dict[int, list[str]]]:
    """(list, cohort) -> item -> sources."""
    found: dict[tuple[str, str], dict[int, list[str]]] = {}
    for row in to_pools(items, events, cohorts, own, config, D).collect():
        found.setdefault((row["list"], row["user_cohort"]), {})[row["item_id"]] = row["sources"]
    return found


def test_a_pool_is_the_union_of_its_sources_for_every_cohort(
    items: DataFrame, events: DataFrame, cohorts: DataFrame, config: Config
) -> None:
    pools = pools_of(items, events, cohorts, config)  # three most shown, two newest

    expected = {1: ["most_shown"], 2: ["most_shown", "newest"], 3: ["most_shown"], 7: ["newest"]}
    assert pools == {("home", cohort): expected for cohort in ("new", "low", "high")}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"source": "active", "window": "1d"}, [1, 2, 3, 7]),
        ({"source": "most_shown", "items": 2, "window": "1d"}, [1, 2]),  # ties by item_id
        ({"source": "newest", "items": 99}, [1, 2, 3, 4, 5, 6, 7]),  # never seen: not new, unknown
    ],
)
def test_a_source_names_these_items(
    items: DataFrame,
    events: DataFrame,
    cohorts: DataFrame,
    config: Config,
    source: dict[str, Any],
    expected: list[int],
) -> None:
    pools = pools_of(items, events, cohorts, with_lists(config, home={"pool": [source]}))

    assert sorted(pools["home", "high"]) == expected


def test_most_liked_counts_positive_labels_of_the_days_by_cohort(
    items: DataFrame, events: DataFrame, cohorts: DataFrame, config: Config
) -> None:
    liked = {"source": "most_liked", "task": "click", "days": 3, "items": 2}
    changed = with_lists(config, home={"pool": [liked]})

    pools = pools_of(items, events, cohorts, changed)

    assert event_days(changed) == 3
    # low: 4 twice by one user, 1 twice by two, 3 once; nobody is high
    assert {key: sorted(own) for key, own in pools.items()} == {("home", "new"): [6], ("home", "low"): [1, 4]}


def test_a_file_names_items_and_unknown_ones_and_nulls_are_left_out(
    spark: SparkSession, items: DataFrame, events: DataFrame, cohorts: DataFrame, config: Config
) -> None:
    own = spark.createDataFrame([(8,), (8,), (77,), (None,)], "item_id bigint")
    changed = with_lists(config, home={"pool": [{"source": "file", "path": "mine.csv", "format": "csv"}]})

    pools = pools_of(items, events, cohorts, changed, **{"mine.csv": own})

    assert pools["home", "new"] == {8: ["file"]}


def test_where_is_a_rule_of_its_own_list(
    items: DataFrame, events: DataFrame, cohorts: DataFrame, config: Config
) -> None:
    everything = [{"source": "active", "window": "3d"}]
    changed = with_lists(
        config,
        all={"pool": everything},
        b={"pool": everything, "where": "item_tag = 'b' AND item_cohort = 'old'"},
        unknown={"pool": everything, "where": "item_impression_count_3d / 0 > 1"},  # null: does not hold
    )

    pools = pools_of(items, events, cohorts, changed)

    assert sorted(pools["all", "low"]) == [1, 2, 3, 4, 7]
    assert sorted(pools["b", "low"]) == [2, 3]
    assert ("unknown", "low") not in pools


def test_lists_without_items_have_no_pool(
    items: DataFrame, events: DataFrame, cohorts: DataFrame, config: Config
) -> None:
    nothing = {"churn": ItemList.model_validate({"ranking": "none", "context": {"tab": 1}})}
    assert pools_of(items, events, cohorts, config.model_copy(update={"lists": nothing})) == {}


def test_items_of_liked_values_are_of_single_users(
    items: DataFrame, events: DataFrame, config: Config
) -> None:
    liked = {
        "source": "liked_attribute",
        "attribute": "item_tag",
        "task": "click",
        "days": 3,
        "items": 2,
        "among": 5,  # 2, 1, 3, 4, 7
        "window": "3d",
    }
    changed = with_lists(
        config, home={"pool": [liked]}, old={"pool": [liked], "where": "item_cohort = 'old'"}
    )

    found = to_user_pools(items, events, changed, D).collect()

    by_list: dict[str, dict[int, list[int]]] = {"home": {}, "old": {}}
    for row in found:
        by_list[row["list"]].setdefault(row["user_id"], []).append(row["item_id"])
    # users 1 and 2 like a (by 6; 4, 1); 3 likes a and b once each: the more shown items first, 2 before 1
    assert {user: sorted(own) for user, own in by_list["home"].items()} == {
        1: [1, 4], 2: [1, 4], 3: [1, 2], 99: [2, 3]
    }  # fmt: skip
    assert by_list["old"].keys() == by_list["home"].keys()
    assert all(row["item_cohort"] == "old" for row in found if row["list"] == "old")
