"""Which users found what they then liked on their lists."""

from datetime import date

import pytest
from pyspark.sql import SparkSession

from core.schema import Config, Task
from features.outcomes import to_outcomes

LISTS = "user_id bigint, item_id bigint, rank int, cohort string, data_date date"
EVENTS = "user_id bigint, item_id bigint, is_click tinyint, play_seconds double"
D = date(2022, 5, 7)
BOUGHT = Task(name="bought", label="is_click = 1", kind="binary", where="play_seconds > 10")


@pytest.fixture
def lists() -> list[tuple[object, ...]]:
    return [
        (1, 10, 1, "new", D),
        (1, 11, 2, "new", D),
        (2, 10, 1, "low", D),
        (3, 12, 1, "high", D),
        (4, 10, 1, "high", D),  # no event at all
    ]


@pytest.mark.parametrize(
    ("events", "cohort", "hit_rate", "recall", "users", "positives"),
    [
        # one positive pair on the list, one beside it
        ([(1, 10, 1, 0.0), (1, 99, 1, 0.0)], "user:new", 1.0, 0.5, 1, 2),
        # the same pair twice is one pair
        ([(1, 10, 1, 0.0), (1, 10, 1, 5.0)], "user:new", 1.0, 1.0, 1, 1),
        # shown and not clicked: nothing to find
        ([(1, 10, 0, 0.0)], "user:new", None, None, 0, 0),
        # an unreadable click is no positive
        ([(1, 10, None, 0.0)], "user:new", None, None, 0, 0),
        # a list of another user does not count
        ([(2, 11, 1, 0.0)], "user:low", 0.0, 0.0, 1, 1),
        # of two users of the roll-up one has a hit; of three pairs one is found
        ([(2, 10, 1, 0.0), (3, 7, 1, 0.0), (3, 8, 1, 0.0)], "user:old", 0.5, 1 / 3, 2, 3),
        # pairs that are found add up over users
        ([(2, 10, 1, 0.0), (3, 12, 1, 0.0), (3, 8, 1, 0.0)], "user:old", 1.0, 2 / 3, 2, 3),
        # users without a list do not count
        ([(77, 10, 1, 0.0), (1, 10, 1, 0.0)], "all", 1.0, 1.0, 1, 1),
    ],
)
def test_hits_are_of_users_and_recall_is_of_pairs(
    spark: SparkSession,
    config: Config,
    lists: list[tuple[object, ...]],
    events: list[tuple[object, ...]],
    cohort: str,
    hit_rate: float | None,
    recall: float | None,
    users: int,
    positives: int,
) -> None:
    outcomes = to_outcomes(
        spark.createDataFrame(lists, LISTS), spark.createDataFrame(events, EVENTS), config
    ).collect()

    assert {(row["metric"], row["value"], row["users"], row["events"]) for row in outcomes if
            (row["task"], row["cohort"]) == ("click", cohort)} == {
        ("hit_rate", hit_rate, users, positives),
        ("recall", recall, users, positives),
    }  # fmt: skip


def test_every_binary_task_and_every_cohort_with_a_list_has_a_row(
    spark: SparkSession, config: Config, lists: list[tuple[object, ...]]
) -> None:
    config = config.model_copy(update={"tasks": (*config.tasks, BOUGHT)})  # `play` is a regression
    events = [(1, 10, 1, 11.0), (2, 10, 1, 9.0)]  # user 2 is outside of the sample space of `bought`

    found = {
        (row["task"], row["cohort"], row["metric"]): row["value"]
        for row in to_outcomes(
            spark.createDataFrame(lists, LISTS), spark.createDataFrame(events, EVENTS), config
        ).collect()
    }

    cohorts = ["all", "user:new", "user:low", "user:high", "user:old"]
    assert set(found) == {
        (task, cohort, metric)
        for task in ("click", "bought")
        for cohort in cohorts
        for metric in ("hit_rate", "recall")
    }
    assert (found["click", "user:low", "recall"], found["bought", "user:low", "recall"]) == (1.0, None)
    assert found["bought", "user:new", "recall"] == 1.0
