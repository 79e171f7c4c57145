"""What every user of a cohort does with the items of a group."""

import math
import random
from datetime import date, timedelta
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession

from core.schema import Config
from features.group_means import popularity, to_daily_sums, to_group_means, with_group_means
from tests.features.small import rows_of

EXAMPLES = """data_date date, user_cohort string, item_tag string, weight double,
    label_click double, mask_click boolean, label_play double, mask_play boolean"""
MEANS = """data_date date, task string, user_cohort string, group_value string, rows double,
    positives double, rate double"""
FIRST, LAST = date(2022, 5, 5), date(2022, 5, 7)


def means_of(spark: SparkSession, rows: list[tuple[object, ...]], config: Config, days: int = 3) -> DataFrame:
    examples = spark.createDataFrame(rows, EXAMPLES)
    by_day = to_daily_sums(examples, config.baselines, config.tasks)
    return to_group_means(by_day, config.baselines, config.tasks, FIRST, LAST, days)


def test_a_mean_leans_towards_the_cohort_and_that_towards_the_task(
    spark: SparkSession, config: Config
) -> None:
    d = LAST
    means = means_of(
        spark,
        [
            (d, "new", "a", 1.0, 1.0, True, None, False),
            (d, "new", "a", 1.0, 1.0, True, None, False),
            (d, "new", None, 1.0, 0.0, True, None, False),  # no group: counts for the cohort alone
            (d, "new", "", 2.0, 0.0, True, None, False),  # weighs 2, and is no group either
            (d, "high", "a", 1.0, 0.0, True, None, False),
            (d, "high", "a", 1.0, 1.0, False, None, False),  # outside of the sample space
        ],
        config,
    )

    task = 2 / 6
    new = (2 + 5 * task) / (5 + 5)  # strength 5
    high = (0 + 5 * task) / (1 + 5)
    found = [tuple(row.values())[2:] for row in rows_of(means, "user_cohort", "group_value")]
    assert found == [
        ("", "", 6.0, 2.0, pytest.approx(task)),
        ("high", "", 1.0, 0.0, pytest.approx(high)),
        ("high", "a", 1.0, 0.0, pytest.approx((0 + 5 * high) / (1 + 5))),
        ("new", "", 5.0, 2.0, pytest.approx(new)),
        ("new", "a", 2.0, 2.0, pytest.approx((2 + 5 * new) / (2 + 5))),
    ]


def test_a_data_date_reads_its_window_and_no_later_day(spark: SparkSession, config: Config) -> None:
    rows = [
        (FIRST + timedelta(days=n), "new", "a", 1.0, 1.0, True, None, False) for n in (-3, -2, -1, 0, 1, 1, 2)
    ]

    means = means_of(spark, rows, config)  # windows of 3 days

    of_cohort = means.where("user_cohort = 'new' AND group_value = ''")
    assert {row["data_date"].day: row["rows"] for row in of_cohort.collect()} == {5: 3.0, 6: 4.0, 7: 4.0}


def test_a_data_date_reads_no_day_whose_labels_are_open(spark: SparkSession, config: Config) -> None:
    rows = [
        (FIRST + timedelta(days=n), "new", "a", 1.0, float(n == 0), True, None, False) for n in range(-5, 3)
    ]
    click, play = config.tasks
    tasks = (click, play.model_copy(update={"matures_days": 2}))

    means = means_of(spark, rows, config.model_copy(update={"tasks": tasks}))

    of_task = means.where("task = 'click' AND user_cohort = ''")  # windows of 3 days: 05-01 .. 05-03, ...
    found = {row["data_date"].day: (row["rows"], row["positives"]) for row in of_task.collect()}
    assert found == {5: (3.0, 0.0), 6: (3.0, 0.0), 7: (3.0, 1.0)}  # of 05-05 alone is there a click


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_means_equal_a_recomputation_with_pandas(spark: SparkSession, config: Config, seed: int) -> None:
    chance = random.Random(seed)
    rows = [
        (
            FIRST + timedelta(days=chance.randint(-3, 3)),
            chance.choice(["new", "low", "high"]),
            chance.choice(["a", "b", "ü", "", None]),
            chance.choice([1.0, 0.5, 0.0]),
            chance.choice([0.0, 1.0]),
            chance.random() < 0.8,
            chance.choice([None, 0.25, 7.5, 1e3]),
            chance.random() < 0.5,
        )
        for _ in range(300)
    ]
    rows = [(*row[:7], row[7] and row[6] is not None) for row in rows]  # a mask says that the label is known

    found = {
        (row["data_date"], row["task"], row["user_cohort"], row["group_value"]): (row["rows"], row["rate"])
        for row in means_of(spark, rows, config).collect()
    }

    expected = recomputed(pd.DataFrame(rows, columns=[c.split()[0] for c in EXAMPLES.split(",")]))
    assert found.keys() == expected.keys()
    assert all(found[key] == pytest.approx(expected[key]) for key in expected)


def recomputed(examples: pd.DataFrame) -> dict[tuple[Any, ...], tuple[float, float]]:
    """Windows of 3 days and strength 5, as plainly as can be."""
    means = {}
    for day in (FIRST, FIRST + timedelta(days=1), LAST):
        seen = examples[(examples.data_date > day - timedelta(days=3)) & (examples.data_date <= day)]
        for task in ("click", "play"):
            counted = seen[seen[f"mask_{task}"] & (seen.weight > 0)]

            def mean(
                rows: pd.DataFrame, prior: float, strength: float, task: str = task
            ) -> tuple[float, float]:
                weight, total = rows.weight.sum(), (rows.weight * rows[f"label_{task}"]).sum()
                return weight, (total + prior * strength) / (weight + strength)

            means[day, task, "", ""] = of_task = mean(counted, 0, 0)
            for cohort, rows in counted.groupby("user_cohort"):
                means[day, task, cohort, ""] = of_cohort = mean(rows, of_task[1], 5)
                for value, group in rows[rows.item_tag.fillna("") != ""].groupby("item_tag"):
                    means[day, task, cohort, value] = mean(group, of_cohort[1], 5)
    return means


@pytest.fixture
def means(spark: SparkSession) -> DataFrame:
    rows = [
        ("click", "", "", 0.2), ("play", "", "", 9.0),
        ("click", "new", "", 0.4), ("play", "new", "", 8.0),
        ("click", "new", "a", 0.7), ("play", "new", "a", 7.0),
        ("click", "new", "b", 0.1),
    ]  # fmt: skip
    return spark.createDataFrame([(LAST, *row[:3], 1.0, 1.0, row[3]) for row in rows], MEANS)


def test_every_pair_finds_the_nearest_mean(spark: SparkSession, config: Config, means: DataFrame) -> None:
    pairs = [
        (1, "new", "a"),
        (2, "new", "b"),  # `play` of b is not known: the cohort's
        (3, "new", "never seen"),
        (4, "new", None),
        (5, "new", ""),
        (6, "high", "a"),  # a cohort without a mean: the task's
    ]

    found = with_group_means(
        spark.createDataFrame(pairs, "number int, user_cohort string, item_tag string"), means, config
    )

    assert found.columns == ["number", "user_cohort", "item_tag", "p_click", "p_play"]
    assert [(row["p_click"], row["p_play"]) for row in rows_of(found, "number")] == [
        (0.7, 7.0), (0.1, 8.0), (0.4, 8.0), (0.4, 8.0), (0.4, 8.0), (0.2, 9.0)
    ]  # fmt: skip


def test_without_any_mean_nothing_is_null(spark: SparkSession, config: Config, means: DataFrame) -> None:
    pairs = spark.createDataFrame([("new", "a")], "user_cohort string, item_tag string")

    [row] = with_group_means(pairs, means.limit(0), config).collect()

    assert (row["p_click"], row["p_play"]) == (0.5, 0.0)


def test_popularity_grows_with_how_often_an_item_was_shown(spark: SparkSession, config: Config) -> None:
    items = spark.createDataFrame([(0,), (3,), (None,)], "item_impression_count_3d bigint")

    assert [row[0] for row in items.select(popularity(config)).collect()] == [0.0, math.log(4), 0.0]
