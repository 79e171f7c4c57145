"""One MERGE that makes the rows of a table those of a frame, and writes only what differs."""

from collections.abc import Sequence
from functools import reduce
from operator import and_

from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from core.paths import Place, name_of

IS_GONE = "_is_gone"
USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"


def changed_rows(old: DataFrame, new: DataFrame, grain: Sequence[str]) -> DataFrame:
    """Return the rows that are new or have another value, and the keys that are gone (`_is_gone`).

    Grain: as declared. Cost: one join by key.

    Args:
        old: rows of the table.
        new: rows that it shall have, in the same columns.
        grain: columns of the key, without null.
    """
    columns = new.columns
    before = old.select(*(F.col(name).alias(name if name in grain else f"_old_{name}") for name in columns))
    both = before.withColumn("_was", F.lit(True)).join(
        new.withColumn("_is", F.lit(True)), on=list(grain), how="full"
    )
    is_same = reduce(
        and_, (F.col(n).eqNullSafe(F.col(f"_old_{n}")) for n in columns if n not in grain), F.lit(True)
    )
    is_kept = F.col("_was").isNotNull() & F.col("_is").isNotNull() & is_same
    return both.where(~is_kept).select(*columns, F.col("_is").isNull().alias(IS_GONE))


def merge_rows(folder: Place, changes: DataFrame, grain: Sequence[str], metadata: str) -> None:
    """Write changed rows into a table in one commit, which adds the columns that the table lacks.

    Args:
        folder: of the table.
        changes: see `changed_rows`.
        grain: columns of the key.
        metadata: what the commit carries.
    """
    spark = changes.sparkSession
    is_row = reduce(and_, (F.col(f"old.{name}") == F.col(f"new.{name}") for name in grain))
    values: dict[str, str | Column] = {
        name: F.col(f"new.{name}") for name in changes.columns if name != IS_GONE
    }
    merge = (
        DeltaTable.forPath(spark, name_of(folder))
        .alias("old")
        .merge(changes.alias("new"), is_row)
        .withSchemaEvolution()
        .whenMatchedDelete(condition=F.col(f"new.{IS_GONE}"))
        .whenMatchedUpdate(set=values)
        .whenNotMatchedInsert(values=values)
    )
    spark.conf.set(USER_METADATA, metadata)  # Delta has no option of MERGE for it
    try:
        merge.execute()
    finally:
        spark.conf.unset(USER_METADATA)
