"""Counts that show what is odd about a night's lists."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def to_list_counts(lists: DataFrame, events: DataFrame) -> DataFrame:
    """Count lists, the item on top of most of them, and listed items that their user has met.

    Grain: one row. Cost: one shuffle of the lists by item, and one of lists and events by pair.

    Args:
        lists: `scores` of one data date, grain (user_id, rank).
        events: of the days that count as met before.
    """
    met = events.select("user_id", "item_id").distinct().withColumn("is_met", F.lit(1))
    rows = lists.join(met, on=["user_id", "item_id"], how="left").agg(
        F.count(F.lit(1)).alias("listed"),
        F.count("is_met").alias("seen_before"),
        F.count_if(F.col("rank") == 1).alias("lists"),
    )
    top = (
        lists.where(F.col("rank") == 1)
        .groupBy("item_id")
        .agg(F.count(F.lit(1)).alias("lists_with_top_item"))
        .orderBy(F.col("lists_with_top_item").desc(), F.col("item_id").asc())
        .limit(1)
        .select(F.col("item_id").cast("string").alias("top_item"), "lists_with_top_item")
    )
    return rows.join(top, how="left").select(
        "lists",
        F.coalesce("top_item", F.lit("")).alias("top_item"),
        F.coalesce("lists_with_top_item", F.lit(0)).alias("lists_with_top_item"),
        "listed",
        "seen_before",
    )
