"""Rows in partitions by number: `repartition` hashes its keys, so that two of them may meet in one."""

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F


def partition_key(spark: SparkSession, number: Column, partitions: int) -> Column:
    """Return the key by which `repartition(partitions, key)` puts a row into the partition of its number.

    Args:
        spark: the session; a small query finds the keys.
        number: of the partition, from 0.
        partitions: how many there are.
    """
    hashed = F.pmod(F.hash(F.col("id").cast("int")), F.lit(partitions))
    found = spark.range(64 * partitions).groupBy(hashed.alias("to")).agg(F.min("id").cast("int").alias("key"))
    keys = [row["key"] for row in sorted(found.collect(), key=lambda row: row["to"])]
    return F.element_at(F.lit(keys), number + 1)
