"""A sample of the negatives that stands for all of them."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.schema import Config, Task, Training
from features.sampling import counting, is_negative, with_fewer_negatives

ROWS = 20_000
CLICK = Task(name="click", label="is_click = 1", kind="binary")
LIKE = Task(name="like", label="is_like = 1", kind="binary", where="is_click = 1")
PLAY = Task(name="play", label="play_seconds", kind="regression")
TASKS = (CLICK, LIKE, PLAY)
EXAMPLES = """event_id string, label_click double, mask_click boolean, label_like double, mask_like boolean,
    label_play double, mask_play boolean, weight double"""


def training(config: Config, share: float, seed: int = 17) -> Training:
    return config.training.model_copy(update={"keep_negatives": share, "seed": seed})


def test_a_row_without_a_positive_label_of_any_binary_task_is_a_negative(spark: SparkSession) -> None:
    rows = [
        ("click", 1.0, True, 0.0, True, 5.0, True, 1.0),
        ("like", 0.0, True, 1.0, True, 0.0, True, 1.0),
        ("neither", 0.0, True, 0.0, True, 9.0, True, 1.0),  # a regression's label says nothing
        ("like that does not count", 0.0, True, 1.0, False, 0.0, True, 1.0),
        ("unknown", None, False, None, False, 1.0, True, 1.0),
    ]
    frame = spark.createDataFrame(rows, EXAMPLES)

    found = {row["event_id"] for row in frame.where(is_negative(TASKS)).collect()}

    assert found == {"neither", "like that does not count", "unknown"}


def test_rows_that_count_in_no_task_are_left_out(spark: SparkSession) -> None:
    rows = [
        ("click", 1.0, True, None, False, None, False, 1.0),
        ("play", None, False, None, False, 3.0, True, 1.0),
        ("none", 0.0, False, 0.0, False, 3.0, False, 1.0),
    ]

    found = counting(spark.createDataFrame(rows, EXAMPLES), TASKS)

    assert {row["event_id"] for row in found.collect()} == {"click", "play"}


@pytest.fixture(scope="module")
def examples(spark: SparkSession) -> DataFrame:
    """Every tenth row is a click; weights are 0.5 or 1.5."""
    return (
        spark.range(ROWS)
        .select(
            F.concat(F.lit("event "), "id").alias("event_id"),
            (F.col("id") % 10 == 0).cast("double").alias("label_click"),
            F.lit(True).alias("mask_click"),
            (F.lit(0.5) + F.col("id") % 2).alias("weight"),
        )
        .localCheckpoint()
    )


def kept(examples: DataFrame, rules: Training) -> dict[str, float]:
    rows = with_fewer_negatives(examples, (CLICK,), rules).select("event_id", "weight").collect()
    return {row["event_id"]: row["weight"] for row in rows}


def test_positives_stay_as_they_are_and_kept_negatives_weigh_one_by_the_share(
    examples: DataFrame, config: Config
) -> None:
    rows = {row["event_id"]: row for row in examples.collect()}

    found = kept(examples, training(config, 0.2))

    assert {name for name, row in rows.items() if row["label_click"] == 1} <= found.keys()
    for name, weight in found.items():
        row = rows[name]
        assert weight == pytest.approx(row["weight"] * (1 if row["label_click"] == 1 else 5))


def test_the_sample_is_the_same_whatever_the_parallelism_and_another_for_another_seed(
    examples: DataFrame, config: Config
) -> None:
    found = kept(examples, training(config, 0.2))

    assert kept(examples.repartition(13, F.rand(3)), training(config, 0.2)) == found
    assert kept(examples.coalesce(1), training(config, 0.2)) == found
    assert (
        kept(examples, training(config, 0.1)).keys()
        < found.keys()
        < kept(examples, training(config, 0.5)).keys()
    )
    others = kept(examples, training(config, 0.2, seed=18)).keys()
    # A fifth of the negatives of one seed is in another: samples of two seeds are independent.
    both = len([name for name in others if name in found]) - ROWS // 10
    assert abs(both - 0.04 * 0.9 * ROWS) < 6 * math.sqrt(0.04 * 0.9 * ROWS)


@settings(max_examples=12)
@given(share=st.floats(0.05, 0.95), seed=st.integers(1, 2**31))
def test_sums_of_weights_are_those_of_all_rows_in_expectation(
    examples: DataFrame, config: Config, share: float, seed: int
) -> None:
    """The sum of the weights of negatives is within six standard deviations of its expectation."""
    negatives = examples.where("label_click = 0")

    found = kept(negatives, training(config, share, seed))

    (total, squares) = negatives.agg(F.sum("weight"), F.sum(F.col("weight") ** 2)).collect()[0]
    deviation = math.sqrt(squares * (1 - share) / share)
    assert abs(sum(found.values()) - total) < 6 * deviation


def test_a_share_of_one_keeps_the_rows_untouched(examples: DataFrame, config: Config) -> None:
    assert with_fewer_negatives(examples, (CLICK,), training(config, 1.0)) is examples
