"""The keys of a log that most of its rows have: what a task may have to do alone."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def to_heaviest_keys(rows: DataFrame, key: str, most: int) -> DataFrame:
    """Return the keys with most rows, the heaviest first; equal ones in the order of their ids.

    Grain: one row per key, at most `most`. Columns: id (string; null: rows without the key), rows, share (of
    all rows), times_mean (rows per rows of the mean key).
    Cost: one pass, one shuffle of the rows' distinct keys.

    Args:
        rows: rows of a log.
        key: the column.
        most: how many keys.
    """
    counts = rows.groupBy(F.col(key).cast("string").alias("id")).agg(F.count(F.lit(1)).alias("rows"))
    totals = counts.agg(F.sum("rows").alias("all_rows"), F.count(F.lit(1)).alias("keys"))
    in_order = (F.col("rows").desc(), F.col("id").asc_nulls_first())
    return (
        counts.orderBy(*in_order)
        .limit(most)
        .crossJoin(F.broadcast(totals))
        .orderBy(*in_order)
        .select(
            "id",
            "rows",
            (F.col("rows") / F.col("all_rows")).alias("share"),
            (F.col("rows") * F.col("keys") / F.col("all_rows")).alias("times_mean"),
        )
    )
