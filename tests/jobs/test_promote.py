"""The suite of a candidate: its values in, whether it passes out."""

from datetime import date
from typing import Any, cast

import pytest
from pyspark.sql import DataFrame, SparkSession

from core.schema import Config
from core.suites import with_suites
from jobs.promote import suite_passes
from jobs.runtime.checks import judge
from jobs.runtime.run import Run
from quality.candidate import PrimaryValue
from quality.verdicts import Verdict
from tests.features.small import small_config


class SuiteOnly:
    """A run of which only the suite is known."""

    def __init__(self, spark: SparkSession, config: Config) -> None:
        self.spark, self.config = spark, config

    def judge(self, frame: DataFrame, table: str) -> dict[date, Verdict]:
        return judge(frame, table, self.config, date(2022, 5, 8))


@pytest.mark.parametrize(
    ("values", "passes"),
    [
        ([("click", 0.7), ("like", 0.8)], True),
        ([("click", 0.7), ("like", None)], False),  # not measured
        ([("click", None)], False),
    ],
)
def test_the_suite_passes_if_every_primary_task_has_a_value(
    spark: SparkSession, values: list[tuple[str, float | None]], passes: bool
) -> None:
    run: Any = SuiteOnly(spark, with_suites(small_config()))
    measured = [PrimaryValue(task, "auc", value) for task, value in values]

    assert suite_passes(cast(Run, run), measured) is passes
