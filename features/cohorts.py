"""Cohorts: the band of each user or item as of a data date, by rules over features."""

from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from core.config_model import EntityName
from core.schema import CohortRule, Cohorts
from features.expressions import readable


def to_cohorts(features: DataFrame, cohorts: Cohorts, entity: EntityName) -> DataFrame:
    """Label each row of a feature table with its cohort.

    Grain: (<entity>_id, data_date), as the features. As of: the end of data_date.
    Cost: one narrow pass.

    Args:
        features: `user_features` or `item_features`, dense.
        cohorts: rules in order, default and version.
        entity: whose features.
    """
    return features.select(
        F.col(f"{entity}_id"),
        F.col("data_date"),
        cohort_of(cohorts, features).alias("cohort"),
        F.lit(cohorts.version).cast("int").alias("rule_version"),
    )


def cohort_of(cohorts: Cohorts, features: DataFrame) -> Column:
    """Return the first cohort whose rule holds, else the default; a rule that is null does not hold."""

    def unless(otherwise: Column, rule: CohortRule) -> Column:
        return F.when(readable(rule.when, features), F.lit(rule.name)).otherwise(otherwise)

    return reduce(unless, reversed(cohorts.rules), F.lit(cohorts.default))


def axis(cohorts: Cohorts) -> tuple[str, ...]:
    """Return all values of a cohort axis: the cohorts in order, then the roll-ups."""
    return (*cohorts.names, *cohorts.rollups)


def with_rollups(rows: DataFrame, column: str, cohorts: Cohorts) -> DataFrame:
    """Add `<column>_axis`: the row's cohort and every roll-up that holds it, array<string>.

    Explode it to count a row under each name that it goes by. Grain: as it came.

    Args:
        rows: any rows that carry a cohort.
        column: the column that holds it.
        cohorts: the roll-ups.
    """
    rollups = [F.when(F.col(column).isin(*members), F.lit(name)) for name, members in cohorts.rollups.items()]
    return rows.withColumn(f"{column}_axis", F.array_compact(F.array(F.col(column), *rollups)))
