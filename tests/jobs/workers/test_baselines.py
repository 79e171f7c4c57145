"""The baselines on examples: logits of means, and metrics that count a user once."""

import math
from collections.abc import Iterator
from datetime import date

import pytest
from pyspark.sql import DataFrame, SparkSession

from core.schema import Config, Evaluation
from jobs.workers.baselines import measure_baselines, to_group_mean_logits
from jobs.workers.evaluation import with_cohort_axes
from tests.features.small import rows_of, small_config

EXAMPLES = """event_id string, data_date date, user_id bigint, user_cohort string, item_cohort string,
    item_tag string,
    item_impression_count_3d bigint, weight double, label_click double, mask_click boolean,
    label_play double, mask_play boolean"""
MEANS = "task string, user_cohort string, group_value string, rate double"
TAGS = "abcdefgh"


@pytest.fixture
def config() -> Config:
    return small_config().model_copy(update={"evaluation": Evaluation(replicates=2, min_class_count=1)})


@pytest.fixture
def means(spark: SparkSession) -> DataFrame:
    """Users of `new` click the more, the later the tag is in the alphabet."""
    rows = [("click", "new", tag, 0.1 * (1 + place)) for place, tag in enumerate(TAGS)]
    fallbacks = [("click", "", "", 0.0), ("click", "high", "", 1.0), ("play", "", "", 9.0)]
    return spark.createDataFrame(rows + fallbacks, MEANS)


def example(number: int, user: int, cohort: str, tag: str, click: float = 0.0) -> tuple[object, ...]:
    return f"e{number}", date(2022, 5, 7), user, cohort, "old", tag, 3, 1.0, click, True, 5.0, True


@pytest.fixture(params=["broadcast join", "join by key"])
def any_join(spark: SparkSession, request: pytest.FixtureRequest) -> Iterator[None]:
    """The join with the means once as small means are joined, once as large ones are."""
    settings = {
        "spark.sql.autoBroadcastJoinThreshold": "10m" if request.param == "broadcast join" else "-1",
        "spark.sql.adaptive.coalescePartitions.enabled": "false",  # few rows stay in several partitions
    }
    for name, value in settings.items():
        spark.conf.set(name, value)
    yield
    for name in settings:
        spark.conf.unset(name)


def test_a_mean_becomes_a_finite_logit_and_that_of_a_regression_stays_as_it_is(
    spark: SparkSession, config: Config, means: DataFrame
) -> None:
    examples = spark.createDataFrame(
        [
            example(1, 1, "new", "d"),  # .4
            example(2, 2, "high", "a"),  # 1
            example(3, 3, "low", "a"),  # 0
        ],
        EXAMPLES,
    )

    found = to_group_mean_logits(with_cohort_axes(examples, config.cohorts), means, config)

    assert [(row["z_click"], row["z_play"]) for row in rows_of(found, "user_id")] == [
        (pytest.approx(math.log(0.4 / 0.6)), 9.0),
        (pytest.approx(math.log(1e6), abs=1e-4), 9.0),
        (pytest.approx(-math.log(1e6), abs=1e-4), 9.0),
    ]


@pytest.mark.usefixtures("any_join")
def test_rows_of_a_user_from_two_partitions_are_handed_to_metrics_together(
    spark: SparkSession, config: Config, means: DataFrame
) -> None:
    rows = [
        example(10 * user + place, user, "new", tag) for user in range(6) for place, tag in enumerate(TAGS)
    ]
    examples = spark.createDataFrame(rows, EXAMPLES).repartition(5, "item_tag")

    found = to_group_mean_logits(with_cohort_axes(examples, config.cohorts), means, config)

    by_partition = [
        [row["user_id"] for row in partition] for partition in found.select("user_id").rdd.glom().collect()
    ]
    homes = {user: [n for n, users in enumerate(by_partition) if user in users] for user in range(6)}
    assert all(len(partitions) == 1 for partitions in homes.values()), homes
    assert all(users == sorted(users) for users in by_partition)


@pytest.mark.usefixtures("any_join")
def test_gauc_of_a_mean_counts_a_user_once(spark: SparkSession, config: Config, means: DataFrame) -> None:
    rows = [
        example(10 * user + place, user, "new", tag, click=float(tag in "efgh"))
        for user in range(6)
        for place, tag in enumerate(TAGS)
    ]
    examples = with_cohort_axes(
        spark.createDataFrame(rows, EXAMPLES).repartition(5, "item_tag"), config.cohorts
    )

    cells = measure_baselines(examples, means, config)

    found = {
        (cell.model_version, cell.metric): (cell.value, cell.users, cell.one_class_users)
        for cell in cells
        if (cell.task, cell.cohort) == ("click", "all")
    }
    assert found["group_mean", "gauc"] == (1.0, 6, 0)
    assert found["popularity", "gauc"] == (0.5, 6, 0)  # all items are shown as often


def test_popularity_is_measured_for_binary_tasks_alone(
    spark: SparkSession, config: Config, means: DataFrame
) -> None:
    examples = spark.createDataFrame([example(1, 1, "new", "a"), example(2, 1, "new", "b", 1.0)], EXAMPLES)

    cells = measure_baselines(with_cohort_axes(examples, config.cohorts), means, config)

    assert {(cell.model_version, cell.task) for cell in cells} == {
        ("popularity", "click"),
        ("group_mean", "click"),
        ("group_mean", "play"),
    }
