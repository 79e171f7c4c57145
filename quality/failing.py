"""Which rows failed which rules: from a verdict to a column.

Kept apart from quality/suites.py, so that reading a verdict does not import Great Expectations (4 s).
"""

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from quality.verdicts import Verdict


def failing_filters(verdict: Verdict) -> dict[str, str]:
    """Return rule -> SQL predicate of exactly the rows that fail it, of critical rules on rows.

    Rules that no row fails are included, so that a query plan is the same every night.
    """
    return {
        result.rule: result.filter
        for result in verdict.results
        if result.severity == "critical" and result.filter is not None
    }


def with_failed_rules(df: DataFrame, filters: Mapping[str, str]) -> DataFrame:
    """Add failed_rules, array<string>: the rules that the row fails in the order of `filters`, else empty.

    Grain: that of `df`. Cost: one narrow pass.

    Args:
        df: rows with the columns that the suite ran on.
        filters: rule -> predicate, from `failing_filters`.
    """
    failed = [F.when(F.expr(predicate), F.lit(rule)) for rule, predicate in filters.items()]
    return df.withColumn("failed_rules", F.array_compact(F.array(*failed).cast("array<string>")))
