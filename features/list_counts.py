"""Counts that show what is odd about a night's lists."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F


def to_list_counts(lists: DataFrame, events: DataFrame) -> DataFrame:
    """Count users of each list, the item on top of most of them, and listed items that their user has met.

    Grain: list; of lists without items there is no row. Cost: one shuffle of the lists by item, and one of
    lists and events by pair.

    Args:
        lists: `scores` of one data date, grain (list, user_id, rank).
        events: of the days that count as met before.
    """
    lists = lists.where(F.col("item_id").isNotNull())
    met = events.select("user_id", "item_id").distinct().withColumn("is_met", F.lit(1))
    rows = (
        lists.join(met, on=["user_id", "item_id"], how="left")
        .groupBy("list")
        .agg(
            F.count(F.lit(1)).alias("listed"),
            F.count("is_met").alias("seen_before"),
            F.count_if(F.col("rank") == 1).alias("lists"),
        )
    )
    most_first = Window.partitionBy("list").orderBy(
        F.col("lists_with_top_item").desc(), F.col("item_id").asc()
    )
    top = (
        lists.where(F.col("rank") == 1)
        .groupBy("list", "item_id")
        .agg(F.count(F.lit(1)).alias("lists_with_top_item"))
        .withColumn("_place", F.row_number().over(most_first))
        .where(F.col("_place") == 1)
        .select("list", F.col("item_id").cast("string").alias("top_item"), "lists_with_top_item")
    )
    return rows.join(top, on="list", how="inner").select(
        F.col("list").alias("name"), "lists", "top_item", "lists_with_top_item", "listed", "seen_before"
    )
