"""Repeated impressions: a user who is shown an item several times on one data date."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from features.events import order_term

KEY = ("user_id", "item_id", "data_date")


def counts_among_repeats(order: Sequence[str]) -> Column:
    """Return whether an event is the first of its user, item and data date in an order; ties by event_id.

    Data dates do not see each other, so that a range gives what date by date gives.
    Cost: one shuffle of the events by user and item; none without an order.

    Args:
        order: ORDER BY terms over columns of events, nulls last; empty: every event counts.
    """
    if not order:
        return F.lit(True)
    repeats = Window.partitionBy(*KEY).orderBy(*map(order_term, order), F.col("event_id").asc())
    return F.row_number().over(repeats) == 1


def to_repeat_counts(events: DataFrame) -> DataFrame:
    """Return one row: events, and repeats, those of them that are not the first of their key."""
    by_key = events.groupBy(*KEY).agg(F.count(F.lit(1)).alias("shown"))
    return by_key.agg(
        F.coalesce(F.sum("shown"), F.lit(0)).alias("events"),
        F.coalesce(F.sum(F.col("shown") - 1), F.lit(0)).alias("repeats"),
    )
