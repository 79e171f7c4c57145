"""Compare rows with those that a table holds: which content columns differ, in how many rows."""

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.tables.digest import digest_table
from jobs.tables.table import Table


@dataclass(frozen=True)
class Difference:
    """How rows differ from the stored ones.

    Attributes:
        table: name of the table.
        missing: stored rows that were not made again.
        surplus: rows that are not stored.
        columns: content column -> rows in which it differs.
    """

    table: str
    missing: int
    surplus: int
    columns: dict[str, int]

    def __str__(self) -> str:
        parts = [f"{name} differs in {count:,} rows" for name, count in self.columns.items()]
        parts += [f"{self.missing:,} stored rows are not made again"] if self.missing else []
        parts += [f"{self.surplus:,} rows are new"] if self.surplus else []
        return f"{self.table}: {', '.join(parts)}"


def difference(stored: DataFrame, made: DataFrame, table: Table) -> Difference | None:
    """Return how rows differ from stored ones in their content; None if they are equal.

    Cost: a digest of both; only where these differ, a join on the grain.
    """
    made = made.select(*table.columns)
    if _digests(stored, table) == _digests(made, table):
        return None
    keys = list(table.grain)
    content = [name for name in table.content if name not in keys]
    left = stored.select(
        *keys, *(F.col(name).alias(f"stored_{name}") for name in content), F.lit(1).alias("is_stored")
    )
    right = made.select(*keys, *content, F.lit(1).alias("is_made"))
    joined = left.join(right, on=keys, how="full")
    is_both = F.col("is_stored").isNotNull() & F.col("is_made").isNotNull()
    counts = joined.agg(
        F.count_if(F.col("is_made").isNull()).alias("missing"),
        F.count_if(F.col("is_stored").isNull()).alias("surplus"),
        *(
            F.count_if(is_both & ~F.col(name).eqNullSafe(F.col(f"stored_{name}"))).alias(f"n_{name}")
            for name in content
        ),
    ).first()
    assert counts is not None  # an aggregation without keys has one row
    columns = {name: counts[f"n_{name}"] for name in content if counts[f"n_{name}"]}
    return Difference(table.name, counts["missing"], counts["surplus"], columns)


def _digests(frame: DataFrame, table: Table) -> list[tuple[str, int, str]]:
    return [(each.data_date, each.rows, each.digest) for each in digest_table(frame, table)]
