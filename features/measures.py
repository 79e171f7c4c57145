"""Aggregates as mergeable parts: what a tile keeps, how parts of several tiles merge, the value of a part.

Merging is exact, so that a window merged of daily tiles equals one computed over its events: sums are bigint
or decimal, the first and the last value are by (event_time, event_id), counts of values are kept as they are.
The number of distinct values is an estimate: a HyperLogLog sketch of 4,096 registers.
"""

from collections.abc import Callable
from typing import NamedTuple

from pyspark.sql import Column
from pyspark.sql import functions as F

from core.columns import part_columns
from core.features import TOTALS, Aggregate, FeatureGroup

ALL = "all"
MOMENT = ("event_time", "event_id")
"""What events are ordered by: total, since event_id is unique within a data date."""

# When a key was seen: two measures that every group but a cross has, kept like the declared ones.
PRESENCE = (
    Aggregate(name="first_event_time", agg="min", of="event_time", windows=(ALL,)),
    Aggregate(name="last_data_date", agg="max", of="data_date", windows=(ALL,)),
)


class Measure(NamedTuple):
    """One feature column: an aggregate over one window."""

    column: str
    aggregate: Aggregate
    window: str

    @property
    def parts(self) -> list[str]:
        """The columns that are merged for it."""
        return part_columns(self.column, self.aggregate.agg)

    @property
    def tile_parts(self) -> list[str]:
        """The columns of tiles that these are merged from, in the same order."""
        return part_columns(self.aggregate.name, self.aggregate.agg)

    @property
    def days(self) -> int:
        """Days of tiles that the window merges; all-time adds the date's own tile to the state."""
        return 1 if self.window == ALL else int(self.window.removesuffix("d"))

    @property
    def is_summed(self) -> bool:
        """Whether its parts are sums, which are 0 without events."""
        return self.aggregate.agg in ("count", "sum", "mean", "variance")

    @property
    def is_total(self) -> bool:
        """Whether it is 0 without events, and not null."""
        return self.aggregate.agg in TOTALS


def measures_of(features: FeatureGroup, group: str) -> list[Measure]:
    """Return all measures of a group, in the order of their columns."""
    return [
        Measure(f"{group}_{aggregate.name}_{window}", aggregate, window)
        for aggregate in (*(() if features.is_cross else PRESENCE), *features.aggregates)
        for window in aggregate.windows
    ]


class Merge(NamedTuple):
    """How parts merge.

    Attributes:
        gather: an aggregate function over rows.
        pair: the same of two columns of a row; a null is no part.
        settle: what is made of the result of either.
    """

    gather: Callable[[Column], Column]
    pair: Callable[[Column, Column], Column]
    settle: Callable[[Column], Column] = lambda gathered: gathered

    def of_pair(self, one: Column, other: Column) -> Column:
        """Return the merge of two parts of a row."""
        return self.settle(self.pair(one, other))


def merge_of(aggregate: Aggregate) -> Merge:
    """Return how the parts of an aggregate merge, over rows or over a frame of a window."""
    match aggregate.agg:
        case "count" | "sum" | "mean" | "variance":
            return Merge(F.sum, lambda one, other: F.coalesce(one + other, one, other))
        case "min" | "first":
            return Merge(F.min, F.least)
        case "max" | "last" | "recency":
            return Merge(F.max, F.greatest)
        case "distinct":
            return Merge(F.hll_union_agg, lambda one, other: F.coalesce(F.hll_union(one, other), one, other))
        case "top_k":
            return Merge(F.collect_list, _both, _counts_added)
        case "last_k":
            return Merge(
                F.collect_list, _both, lambda lists: newest(F.array_distinct(F.flatten(lists)), aggregate.k)
            )


def value_of(measure: Measure) -> Column:
    """Return the value of a measure as of `data_date`, from its merged parts."""
    aggregate, parts = measure.aggregate, [F.col(name) for name in measure.parts]
    match aggregate.agg:
        case "mean":
            total, count = parts
            return F.when(count > 0, (total / count).cast("double"))
        case "variance":
            return _variance(*parts)
        case "first" | "last":
            return parts[0].getField("value")
        case "distinct":
            # Of a sketch that was never merged the estimate depends on the order of its values; merged
            # with itself, on its registers alone.
            (sketch,) = parts
            return F.coalesce(F.hll_sketch_estimate(F.hll_union(sketch, sketch)), F.lit(0))
        case "top_k":
            ranked = F.sort_array(
                F.transform(
                    parts[0],
                    lambda each: F.struct((-each["count"]).alias("rank"), each["value"].alias("value")),
                )
            )
            return F.transform(F.slice(ranked, 1, aggregate.k or 1), lambda each: each["value"])
        case "last_k":
            return F.transform(parts[0], lambda each: each["value"])
        case "recency":
            return F.datediff("data_date", parts[0]).cast("int")
        case _:
            return parts[0]


def newest(moments: Column, k: int | None) -> Column:
    """Return the last k of (event_time, event_id, value), newest first; null for none."""
    return F.when(F.size(moments) > 0, F.slice(F.sort_array(moments, asc=False), 1, k or 1))


def _variance(total: Column, count: Column, squares: Column) -> Column:
    """Return the sample variance in double, null of fewer than two values; the three sums are exact."""
    n, sum_ = count.cast("double"), total.cast("double")
    return F.when(n > 1, F.greatest((squares.cast("double") - sum_ * sum_ / n) / (n - 1), F.lit(0.0)))


def _both(one: Column, other: Column) -> Column:
    return F.array_compact(F.array(one, other))


def _counts_added(lists: Column) -> Column:
    """Add up lists of (value, count), each value once, in the order of values; null for no list."""
    maps = F.transform(lists, lambda counted: F.map_from_entries(counted))  # noqa: PLW0108  # as in encoding
    nothing = F.map_filter(F.get(maps, F.lit(0)), lambda value, count: F.lit(False))
    total = F.aggregate(maps, nothing, lambda one, other: F.map_zip_with(one, other, _added))
    return F.array_sort(
        F.transform(
            F.map_entries(total),
            lambda entry: F.struct(entry["key"].alias("value"), entry["value"].alias("count")),
        )
    )


def _added(value: Column, one: Column, other: Column) -> Column:
    return F.coalesce(one, F.lit(0)) + F.coalesce(other, F.lit(0))
