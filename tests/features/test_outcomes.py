"""Which users found what they then liked on their lists."""

from datetime import date

import pytest
from pyspark.sql import DataFrame, SparkSession

from core.lists import ItemList
from core.schema import Config, Task
from features.outcomes import to_outcomes

LISTS = "list string, user_id bigint, item_id bigint, rank int, cohort string, data_date date"
POOLS = "list string, user_cohort string, item_id bigint"
USER_POOLS = "list string, user_id bigint, item_id bigint"
EVENTS = "user_id bigint, item_id bigint, is_click tinyint, play_seconds double"
D = date(2022, 5, 7)
BOUGHT = Task(name="bought", label="is_click = 1", kind="binary", where="play_seconds > 10")


@pytest.fixture
def lists() -> list[tuple[object, ...]]:
    return [
        ("home", 1, 10, 1, "new", D),
        ("home", 1, 11, 2, "new", D),
        ("home", 2, 10, 1, "low", D),
        ("home", 3, 12, 1, "high", D),
        ("home", 4, 10, 1, "high", D),  # no event at all
    ]


@pytest.fixture
def pools(spark: SparkSession) -> DataFrame:
    items = {"new": (10, 11, 99), "low": (10, 11), "high": (12, 10, 8)}
    return spark.createDataFrame(
        [("home", cohort, item) for cohort, own in items.items() for item in own], POOLS
    )


@pytest.mark.parametrize(
    ("events", "cohort", "hit_rate", "recall", "pool_recall", "users", "positives"),
    [
        # one positive pair on the list, one beside it
        ([(1, 10, 1, 0.0), (1, 99, 1, 0.0)], "user:new", 1.0, 0.5, 1.0, 1, 2),
        # the same pair twice is one pair
        ([(1, 10, 1, 0.0), (1, 10, 1, 5.0)], "user:new", 1.0, 1.0, 1.0, 1, 1),
        # shown and not clicked: nothing to find
        ([(1, 10, 0, 0.0)], "user:new", None, None, None, 0, 0),
        # an unreadable click is no positive
        ([(1, 10, None, 0.0)], "user:new", None, None, None, 0, 0),
        # a list of another user does not count; it could have been in the list
        ([(2, 11, 1, 0.0)], "user:low", 0.0, 0.0, 1.0, 1, 1),
        # the pool of another cohort does not count
        ([(2, 99, 1, 0.0)], "user:low", 0.0, 0.0, 0.0, 1, 1),
        # of two users of the roll-up one has a hit; of three pairs one is found
        ([(2, 10, 1, 0.0), (3, 7, 1, 0.0), (3, 8, 1, 0.0)], "user:old", 0.5, 1 / 3, 2 / 3, 2, 3),
        # pairs that are found add up over users
        ([(2, 10, 1, 0.0), (3, 12, 1, 0.0), (3, 8, 1, 0.0)], "user:old", 1.0, 2 / 3, 1.0, 2, 3),
        # users without a list do not count
        ([(77, 10, 1, 0.0), (1, 10, 1, 0.0)], "all", 1.0, 1.0, 1.0, 1, 1),
    ],
)
def test_hits_are_of_users_and_recalls_are_of_pairs(
    spark: SparkSession,
    config: Config,
    lists: list[tuple[object, ...]],
    pools: DataFrame,
    events: list[tuple[object, ...]],
    cohort: str,
    hit_rate: float | None,
    recall: float | None,
    pool_recall: float | None,
    users: int,
    positives: int,
) -> None:
    outcomes = to_outcomes(
        spark.createDataFrame(lists, LISTS), pools, None, spark.createDataFrame(events, EVENTS), config
    ).collect()

    assert {row["list"] for row in outcomes} == {"home"}
    assert {(row["metric"], row["value"], row["users"], row["events"]) for row in outcomes if
            (row["task"], row["cohort"]) == ("click", cohort)} == {
        ("hit_rate", hit_rate, users, positives),
        ("recall", recall, users, positives),
        ("pool_recall", pool_recall, users, positives),
    }  # fmt: skip


def test_every_binary_task_and_every_cohort_with_a_list_has_a_row(
    spark: SparkSession, config: Config, lists: list[tuple[object, ...]], pools: DataFrame
) -> None:
    config = config.model_copy(update={"tasks": (*config.tasks, BOUGHT)})  # `play` is a regression
    events = [(1, 10, 1, 11.0), (2, 10, 1, 9.0)]  # user 2 is outside of the sample space of `bought`

    found = {
        (row["task"], row["cohort"], row["metric"]): row["value"]
        for row in to_outcomes(
            spark.createDataFrame(lists, LISTS), pools, None, spark.createDataFrame(events, EVENTS), config
        ).collect()
    }

    cohorts = ["all", "user:new", "user:low", "user:high", "user:old"]
    assert set(found) == {
        (task, cohort, metric)
        for task in ("click", "bought")
        for cohort in cohorts
        for metric in ("hit_rate", "recall", "pool_recall")
    }
    assert (found["click", "user:low", "recall"], found["bought", "user:low", "recall"]) == (1.0, None)
    assert found["bought", "user:new", "recall"] == 1.0


def test_each_list_of_items_counts_by_itself_with_the_items_of_its_single_users(
    spark: SparkSession, config: Config, lists: list[tuple[object, ...]], pools: DataFrame
) -> None:
    both = {"home": config.lists["home"], "more": config.lists["home"]}
    nothing = ItemList(context={"tab": 1}, ranking="none")
    config = config.model_copy(update={"lists": both | {"persons": nothing}})
    rows = [*lists, ("more", 1, 12, 1, "new", D), ("persons", 1, None, 1, "new", D)]
    own = [
        ("home", 1, 77),
        ("home", 2, 12),  # of another user
        ("more", 1, 10),
        ("more", 1, 12),
    ]
    events = [(1, 77, 1, 0.0), (1, 12, 1, 0.0), (1, 10, 1, 0.0)]

    outcomes = to_outcomes(
        spark.createDataFrame(rows, LISTS),
        pools,
        spark.createDataFrame(own, USER_POOLS),
        spark.createDataFrame(events, EVENTS),
        config,
    ).collect()

    found = {
        (row["list"], row["metric"]): (row["value"], row["users"], row["events"])
        for row in outcomes
        if (row["task"], row["cohort"]) == ("click", "all")
    }
    assert found == {
        ("home", "hit_rate"): (1.0, 1, 3),
        ("home", "recall"): (1 / 3, 1, 3),  # 10
        ("home", "pool_recall"): (2 / 3, 1, 3),  # 10 of the pool of its cohort, 77 of its own
        ("more", "hit_rate"): (1.0, 1, 3),
        ("more", "recall"): (1 / 3, 1, 3),  # 12
        ("more", "pool_recall"): (2 / 3, 1, 3),  # 10 and 12 of its own; no other pool is there
    }
