"""Order-independent hashes of the content of tables: what "equal" means everywhere."""

import hashlib
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.tables.store import Store
from jobs.tables.table import Table


@dataclass(frozen=True)
class Digest:
    """Hash of the content of one table and data date ("-" for a table without data dates)."""

    table: str
    data_date: str
    rows: int
    digest: str


def digests(spark: SparkSession, store: Store) -> list[Digest]:
    """Return the digests of every table that has content. Cost: one scan of each table."""
    found = []
    for name, table in store.catalog.tables.items():
        if table.has_content and store.version(name) is not None:
            found += digest_table(store.read(spark, name), table)
    return found


def digest_table(frame: DataFrame, table: Table) -> list[Digest]:
    """Hash the content of each row with two seeds, and return the sums of the hashes per data date."""
    day = F.col("data_date").cast("string") if "data_date" in table.columns else F.lit("-")
    rows = (
        frame.select(day.alias("day"), _row_hash(table, 1).alias("one"), _row_hash(table, 2).alias("two"))
        .groupBy("day")
        .agg(F.count(F.lit(1)).alias("rows"), F.sum("one").alias("one"), F.sum("two").alias("two"))
        .orderBy("day")
        .collect()
    )
    return [
        Digest(
            table.name,
            row["day"],
            row["rows"],
            hashlib.sha256(f"{row['rows']}:{row['one']}:{row['two']}".encode()).hexdigest()[:16],
        )
        for row in rows
    ]


def _row_hash(table: Table, seed: int) -> Column:
    """xxhash64 skips nulls, so each column goes in with a flag that says whether it is one."""
    flagged = [part for name in table.content for part in (F.col(name).isNull(), F.col(name))]
    return F.xxhash64(F.lit(seed), *flagged).cast("decimal(20,0)")
