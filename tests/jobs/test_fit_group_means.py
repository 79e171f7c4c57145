"""Group means are those of the examples of a trailing window, and nothing later."""

from datetime import date, timedelta

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tests.jobs.sample_project import FIRST_NIGHT, SECOND_NIGHT, SampleProject


def mean_of_clicks(spark: SparkSession, project: SampleProject, last: date) -> float:
    """The share of clicks among the examples of the window that ends with a data date."""
    found = project.opened()
    first = last - timedelta(days=found.config.training.window_days - 1)
    examples = found.store.read(spark, "examples").where(F.col("data_date").between(first, last))
    return float(examples.agg(F.avg("label_click")).first()[0])


def test_the_mean_of_a_task_is_that_of_the_days_of_a_training_window(
    spark: SparkSession, after_two_nights: SampleProject
) -> None:
    for night in (FIRST_NIGHT, SECOND_NIGHT):
        means = after_two_nights.opened().store.rows("group_means", f"data_date = '{night}'")
        rates = {(row["task"], row["user_cohort"], row["group_value"]): row["rate"] for row in means}

        assert rates["click", "", ""] == pytest.approx(mean_of_clicks(spark, after_two_nights, night))
        assert {row["task"] for row in means} == {"click", "long_view", "like"}
        assert {row["user_cohort"] for row in means} >= {"", "new", "low", "high"}
