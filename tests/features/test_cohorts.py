from datetime import date

from pyspark.sql import SparkSession

from core.schema import Config
from features.cohorts import axis, to_cohorts, with_rollups
from tests.features.small import rows_of

DAY = date(2022, 5, 2)


def test_the_first_rule_that_holds_names_the_cohort(spark: SparkSession, config: Config) -> None:
    features = spark.createDataFrame(
        [(1, DAY, 0), (2, DAY, 3), (3, DAY, 4), (4, DAY, 7), (5, DAY, None)],
        "user_id bigint, data_date date, user_impression_count_all bigint",
    )

    cohorts = to_cohorts(features, config.cohorts.user, "user")

    assert dict(cohorts.dtypes)["rule_version"] == "int"
    assert rows_of(cohorts, "user_id") == [
        {"user_id": user, "data_date": DAY, "cohort": cohort, "rule_version": 2}
        for user, cohort in [(1, "new"), (2, "new"), (3, "low"), (4, "high"), (5, "high")]  # 5: no rule holds
    ]


def test_a_row_goes_by_its_cohort_and_its_rollups(spark: SparkSession, config: Config) -> None:
    rows = spark.createDataFrame([("new",), ("low",), ("high",)], "user_cohort string")

    found = with_rollups(rows, "user_cohort", config.cohorts.user).collect()

    assert [tuple(row) for row in found] == [
        ("new", ["new"]),
        ("low", ["low", "old"]),
        ("high", ["high", "old"]),
    ]


def test_the_axis_names_cohorts_and_rollups(config: Config) -> None:
    assert axis(config.cohorts.user) == ("new", "low", "high", "old")
