"""Compare rows with those that a table holds: which content columns differ, in how many rows, and how."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from pyspark.sql import Column, DataFrame
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
        rows: rows that are in both and differ.
        made: rows that were made.
    """

    table: str
    missing: int
    surplus: int
    columns: dict[str, int]
    rows: int = 0
    made: int = 0

    def __str__(self) -> str:
        parts = [f"{name} differs in {count:,} rows" for name, count in self.columns.items()]
        parts += [f"{self.missing:,} stored rows are not made again"] if self.missing else []
        parts += [f"{self.surplus:,} rows are new"] if self.surplus else []
        return f"{self.table}: {', '.join(parts)}"


@dataclass(frozen=True)
class DifferingRow:
    """A row that differs: its key, and column -> what is stored and what was made."""

    key: dict[str, Any]
    values: dict[str, tuple[Any, Any]]


def difference(stored: DataFrame, made: DataFrame, table: Table) -> Difference | None:
    """Return how rows differ from stored ones in their content; None if they are equal.

    Cost: a digest of both; only where these differ, a join on the grain.
    """
    made = made.select(*table.columns)
    if _digests(stored, table) == _digests(made, table):
        return None
    return counted(stored, made, table, [name for name in table.content if name not in table.grain])


def counted(stored: DataFrame, made: DataFrame, table: Table, content: Sequence[str]) -> Difference:
    """Count the rows that differ from stored ones in some columns. Cost: a join on the grain."""
    is_both = F.col("is_stored").isNotNull() & F.col("is_made").isNotNull()
    counts = (
        _joined(stored, made, table, content)
        .agg(
            F.count("is_made").alias("made"),
            F.count_if(F.col("is_made").isNull()).alias("missing"),
            F.count_if(F.col("is_stored").isNull()).alias("surplus"),
            F.count_if(is_both & _is_other(content)).alias("rows"),
            *(F.count_if(is_both & _is_other([name])).alias(f"n_{name}") for name in content),
        )
        .first()
    )
    assert counts is not None  # an aggregation without keys has one row
    columns = {name: counts[f"n_{name}"] for name in content if counts[f"n_{name}"]}
    return Difference(
        table.name, counts["missing"], counts["surplus"], columns, counts["rows"], counts["made"]
    )


def differing_rows(
    stored: DataFrame, made: DataFrame, table: Table, content: Sequence[str], number: int
) -> list[DifferingRow]:
    """Return the first rows by key that are in both and differ, with the columns that do."""
    keys = list(table.grain)
    joined = _joined(stored, made, table, content)
    is_both = F.col("is_stored").isNotNull() & F.col("is_made").isNotNull()
    found = []
    for row in joined.where(is_both & _is_other(content)).orderBy(*keys).limit(number).collect():
        values = {name: (row[f"stored_{name}"], row[name]) for name in content}
        differ = {name: (before, now) for name, (before, now) in values.items() if before != now}
        found.append(DifferingRow({name: row[name] for name in keys}, differ))
    return found


def transitions(stored: DataFrame, made: DataFrame, table: Table, column: str) -> list[tuple[Any, Any, int]]:
    """Return (stored, made, rows) of the values of a column that differ, most rows first."""
    moved = _joined(stored, made, table, [column]).where(_is_other([column]))
    counts = moved.groupBy(f"stored_{column}", column).count().collect()
    found = [(row[0], row[1], row["count"]) for row in counts]
    return sorted(found, key=lambda each: (-each[2], str(each[:2])))


def _joined(stored: DataFrame, made: DataFrame, table: Table, content: Sequence[str]) -> DataFrame:
    """Join both on the grain; a column that the stored rows do not have yet is null in them."""
    keys = list(table.grain)
    values = (
        F.col(name) if name in stored.columns else F.lit(None).cast(table.columns[name]) for name in content
    )
    left = stored.select(
        *keys,
        *(value.alias(f"stored_{name}") for name, value in zip(content, values, strict=True)),
        F.lit(1).alias("is_stored"),
    )
    right = made.select(*keys, *content, F.lit(1).alias("is_made"))
    return left.join(right, on=keys, how="full")


def _is_other(content: Sequence[str]) -> Column:
    return reduce(or_, (~F.col(name).eqNullSafe(F.col(f"stored_{name}")) for name in content), F.lit(False))


def _digests(frame: DataFrame, table: Table) -> list[tuple[str, int, str]]:
    return [(each.data_date, each.rows, each.digest) for each in digest_table(frame, table)]
