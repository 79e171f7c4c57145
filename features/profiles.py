"""Profiles of feature columns: nulls, and how the values are distributed, counted in one pass.

Numbers are counted in bins whose ends differ by 5 %, at most 2,300 per column whatever the number of rows. A
profile joins neighbours to bins of about a tenth of the rows, whose ends are values that occur. Of texts the
most frequent are counted.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Row, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

BINS, MOST_VALUES, TEXT_LENGTH = 10, 10, 60
WIDTH = math.log(1.05)
SMALLEST, LARGEST = 1e-9, 1e15  # sizes beyond share the outermost bins
OFFSET = 1 - math.ceil(math.log(SMALLEST) / WIDTH)  # numbers of bins begin with 1; 0 is the bin of zeros
ALL_ROWS = ""
"""A feature of no column: one cell per row, to count the rows in the same pass."""


class Bin(NamedTuple):
    """Values from low to high, both of which occur, and how many rows have one of them."""

    low: float
    high: float
    rows: int


@dataclass(frozen=True)
class Profile:
    """How the values of one column are distributed.

    Attributes:
        feature: name of the column.
        rows: of the table as of the data date.
        nulls: of them without a value.
        bins: of numbers, in order; of times and dates, days before the data date.
        values: of texts, truth values and arrays: the most frequent with their rows.
    """

    feature: str
    rows: int
    nulls: int
    bins: tuple[Bin, ...] = ()
    values: tuple[tuple[str, int], ...] = ()


def to_profiles(
    rows: DataFrame, columns: Sequence[str], names: Collection[str], time_zone: str
) -> list[Profile]:
    """Return the profiles of columns as of one data date, in their order.

    Cost: one scan; (rows x columns) cells are counted where they are read. What is shuffled is at most 2,300
    numbers per column and task, and the distinct texts.

    Args:
        rows: a feature table as of one data date, with data_date.
        columns: whose profiles.
        names: those of them whose numbers only name something, as a code of a city does.
        time_zone: of the data set; a time counts as of its date there.
    """
    counts: dict[str, list[Row]] = {column: [] for column in (*columns, ALL_ROWS)}
    for row in _counted(rows, columns, names, time_zone).collect():
        counts[row["feature"]].append(row)
    all_rows = sum(row["rows"] for row in counts.pop(ALL_ROWS))
    return [_profile(column, all_rows, found) for column, found in counts.items()]


def joined_bins(bins: Sequence[Bin]) -> tuple[Bin, ...]:
    """Join neighbours to bins of about a tenth of the rows; one that has so many by itself stays alone."""
    enough = sum(each.rows for each in bins) / BINS
    joined: list[Bin] = []
    is_open = False
    for each in bins:
        if is_open and each.rows < enough:
            low, _, rows = joined.pop()
            joined.append(Bin(low, each.high, rows + each.rows))
        else:
            joined.append(each)
        is_open = joined[-1].rows < enough
    return tuple(joined)


def _profile(feature: str, all_rows: int, counts: Sequence[Row]) -> Profile:
    nulls = sum(row["rows"] for row in counts if row["bin"] is None and row["text"] is None)
    numbers = sorted((row for row in counts if row["bin"] is not None), key=lambda row: row["bin"])
    texts = sorted((-row["rows"], row["text"]) for row in counts if row["text"] is not None)
    return Profile(
        feature,
        all_rows,
        nulls,
        joined_bins([Bin(row["low"], row["high"], row["rows"]) for row in numbers]),
        tuple((text, -negative) for negative, text in texts[:MOST_VALUES]),
    )


def _counted(rows: DataFrame, columns: Sequence[str], names: Collection[str], time_zone: str) -> DataFrame:
    """Count rows per feature and bin, or text, of these the most frequent; nulls have neither.

    Grain: (feature, bin, text). low, high: smallest and largest number of a bin.
    """
    cells = [_cell(rows.schema[name], name in names, time_zone) for name in columns]
    cells.append(_named(ALL_ROWS, None, None))
    counts = (
        rows.select(F.inline(F.array(*cells)))
        .groupBy("feature", _bin(F.col("number")).alias("bin"), "text")
        .agg(F.count(F.lit(1)).alias("rows"), F.min("number").alias("low"), F.max("number").alias("high"))
    )
    # Each bin is alone in its part; texts share one, behind the nulls.
    place = F.row_number().over(
        Window.partitionBy("feature", "bin").orderBy(F.col("text").isNotNull(), F.col("rows").desc(), "text")
    )
    return counts.withColumn("_place", place).where(F.col("_place") <= MOST_VALUES + 1).drop("_place")


def _cell(field: T.StructField, is_name: bool, time_zone: str) -> Column:
    """Return a column's value as a number, or as text."""
    value = F.col(field.name)
    match field.dataType:
        case T.DateType():
            return _named(field.name, F.datediff("data_date", value), None)
        case T.TimestampType():
            day = F.to_date(F.from_utc_timestamp(value, time_zone))
            return _named(field.name, F.datediff("data_date", day), None)
        case T.DoubleType() if not is_name:
            return _named(field.name, F.when(~F.isnan(value), value), None)
        case T.NumericType() if not is_name:
            return _named(field.name, value, None)
        case _:
            return _named(field.name, None, F.left(value.cast("string"), F.lit(TEXT_LENGTH)))


def _named(feature: str, number: Column | None, text: Column | None) -> Column:
    return F.struct(
        F.lit(feature).alias("feature"),
        (F.lit(None) if number is None else number).cast("double").alias("number"),
        (F.lit(None) if text is None else text).cast("string").alias("text"),
    )


def _bin(number: Column) -> Column:
    """Return the number of a bin: 0 for 0, rising with the number; null for null."""
    size = F.least(F.greatest(F.abs(number), F.lit(SMALLEST)), F.lit(LARGEST))
    place = F.ceil(F.ln(size) / F.lit(WIDTH)).cast("int") + F.lit(OFFSET)
    return F.when(number == 0, F.lit(0)).when(number > 0, place).when(number < 0, -place)
