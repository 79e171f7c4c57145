"""Slowly changing attributes: from full snapshots, or from changes, to versions that are valid between dates.

A version is a row (key, valid_from, valid_to, attributes): valid_from is inclusive, valid_to exclusive, null
while it is current. Versions of a key do not overlap, and two that follow each other differ in an attribute.
"""

from collections.abc import Mapping, Sequence
from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

VALIDITY = ("valid_from", "valid_to")


def with_snapshots(
    versions: DataFrame, snapshots: DataFrame, spans: Mapping[date, date | None], key: str
) -> DataFrame:
    """Replace what is valid in some spans of dates by what full snapshots say of them.

    A snapshot holds from its date up to the next one. A key that it lacks is not valid there.

    Grain: (key, valid_from), if each snapshot holds a key once.
    Cost: one shuffle by key of the versions and of the snapshots given; not of those taken in before.

    Args:
        versions: those so far.
        snapshots: full snapshots, the date of each in valid_from, and the columns of `versions`.
        spans: date of each snapshot to take in -> date of the next one; None: there is none.
        key: the column of the key.
    """
    columns = versions.columns
    ends = [(day, end) for day, end in sorted(spans.items())]
    span_of = snapshots.sparkSession.createDataFrame(ends, "valid_from date, valid_to date")
    new = snapshots.join(F.broadcast(span_of), on="valid_from", how="inner").select(*columns)

    gaps = [
        F.struct(F.lit(begin).cast("date").alias("begin"), F.lit(end).cast("date").alias("end"))
        for begin, end in _between(ends)
    ]
    kept = (
        versions.withColumn("_gap", F.explode(F.array(*gaps)))
        .withColumn("valid_from", F.greatest("valid_from", "_gap.begin"))  # both skip null
        .withColumn("valid_to", F.least("valid_to", "_gap.end"))
        .where(F.col("valid_to").isNull() | (F.col("valid_from") < F.col("valid_to")))
        .select(*columns)
    )
    return _joined(kept.unionByName(new), key)


def to_versions(changes: DataFrame, key: str) -> DataFrame:
    """Return the versions that follow from changes: a change holds up to the next one of its key.

    Of several changes of one day the last counts; of two at the same instant the one whose attributes are the
    larger, in the order of their columns.

    Grain: (key, valid_from). Cost: two shuffles by key.

    Args:
        changes: key, valid_from (the day), changed_at (what orders the changes of a day), attributes.
        key: the column of the key.
    """
    attributes = [name for name in changes.columns if name not in (key, "valid_from", "changed_at")]
    order = [F.col(name).desc_nulls_last() for name in ("changed_at", *attributes)]
    of_day = Window.partitionBy(key, "valid_from").orderBy(*order)
    days = Window.partitionBy(key).orderBy("valid_from")
    last_of_day = changes.withColumn("_place", F.row_number().over(of_day)).where(F.col("_place") == 1)
    held = last_of_day.withColumn("valid_to", F.lead("valid_from").over(days))
    return _joined(held.select(key, *VALIDITY, *attributes), key)


def _between(spans: Sequence[tuple[date, date | None]]) -> list[tuple[date | None, date | None]]:
    """Return the spans of dates that no given one covers; None: without an end on that side."""
    gaps: list[tuple[date | None, date | None]] = []
    begin: date | None = None
    for first, end in spans:
        if begin is None or begin < first:
            gaps.append((begin, first))
        begin = end
        if end is None:
            return gaps
    return [*gaps, (begin, None)]


def _joined(pieces: DataFrame, key: str) -> DataFrame:
    """Join versions of a key that touch and have equal attributes."""
    attributes = [name for name in pieces.columns if name not in (key, *VALIDITY)]
    in_order = Window.partitionBy(key).orderBy("valid_from")
    touches = F.lag("valid_to").over(in_order).eqNullSafe(F.col("valid_from"))
    is_same = F.lit(True)
    for name in attributes:
        is_same &= F.lag(name).over(in_order).eqNullSafe(F.col(name))
    up_to_here = in_order.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    runs = pieces.withColumn("_begins", F.when(touches & is_same, 0).otherwise(1)).withColumn(
        "_run", F.sum("_begins").over(up_to_here)
    )
    return (
        runs.groupBy(key, "_run")
        .agg(
            F.min("valid_from").alias("valid_from"),
            F.max_by("valid_to", "valid_from").alias("valid_to"),
            *(F.min_by(name, "valid_from").alias(name) for name in attributes),
        )
        .select(*pieces.columns)
    )
