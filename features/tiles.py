"""Daily tiles: mergeable parts of one day's events of one key."""

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from core.columns import key_columns, part_columns
from core.errors import ConfigError
from core.features import EXACT, WITH_K, Aggregate, FeatureGroup
from core.source import Behaviour
from features.bags import bag
from features.expressions import readable
from features.measures import MOMENT, PRESENCE, newest

HASHED_AS_THEY_ARE = ("int", "bigint", "string")
"""Types that a sketch takes; others are sketched as strings."""


def to_daily_tiles(
    events: DataFrame, group: str, features: FeatureGroup, behaviours: Mapping[str, Behaviour]
) -> DataFrame:
    """Aggregate accepted events to one row per key and day with events.

    Grain: (<group>_id, data_date), of a cross with user_id. As of: the day alone.
    Units: counts and sums of binary behaviours are bigint, sums of others decimal(22,n), all 0 when no row
    satisfies `where`; other parts are null then. Null values count for nothing but `count`.
    Cost: one shuffle of (events per day) partial rows; each top_k and last_k one more, of (key, value) counts
    and of k events per key.

    Args:
        events: accepted events, grain event_id, with <group>_id and the columns that aggregates read.
        group: whose tiles.
        features: its `aggregates`, whose parts are one column each.
        behaviours: the declared behaviours; only these can be summed.

    Raises:
        ConfigError: a sum of something that is no behaviour.
    """
    grain = [*key_columns(features, group), "data_date"]
    ranked = [aggregate for aggregate in features.aggregates if aggregate.agg in WITH_K]
    summed = [aggregate for aggregate in features.aggregates if aggregate.agg not in WITH_K]
    tiles = events.groupBy(*grain).agg(
        F.min("event_time").alias("first_event_time"),
        *(
            part.alias(name)
            for aggregate in summed
            for name, part in zip(
                part_columns(aggregate.name, aggregate.agg),
                _parts(aggregate, behaviours, events),
                strict=True,
            )
        ),
    )
    for aggregate in ranked:
        tiles = tiles.join(_to_values(aggregate, events, grain), on=grain, how="left")
    parts = [name for a in features.aggregates for name in part_columns(a.name, a.agg)]
    return tiles.select(*grain, PRESENCE[0].name, *parts)


def _parts(aggregate: Aggregate, behaviours: Mapping[str, Behaviour], events: DataFrame) -> list[Column]:
    """Return the parts of one aggregate over the events of its `where`."""
    value = readable(aggregate.of, events) if aggregate.of else F.lit(1)
    counted = _where(aggregate, value, events)
    if aggregate.agg in EXACT:
        return _sums(aggregate, counted, behaviours)
    match aggregate.agg:
        case "count":
            return [F.count(counted).cast("bigint")]
        case "min":
            return [F.min(counted)]
        case "max":
            return [F.max(counted)]
        case "first":
            return [F.min(_moment(counted))]
        case "last":
            return [F.max(_moment(counted))]
        case "distinct":
            is_hashed = dict(events.dtypes)[str(aggregate.of)] in HASHED_AS_THEY_ARE
            return [F.hll_sketch_agg(counted if is_hashed else counted.cast("string"))]
        case "recency":
            return [F.max(_where(aggregate, F.col("data_date"), events))]
        case _:
            raise AssertionError(aggregate.agg)


def _sums(aggregate: Aggregate, counted: Column, behaviours: Mapping[str, Behaviour]) -> list[Column]:
    """Return sum, count and sum of squares, as many of them as the aggregate needs."""
    behaviour = behaviours.get(aggregate.of or "")
    if behaviour is None:
        raise ConfigError(
            f"features: aggregate {aggregate.name} sums {aggregate.of!r}, which is no behaviour; "
            f"sums are exact only over behaviours: {sorted(behaviours)}"
        )
    exact = counted.cast(behaviour.data_type if behaviour.kind != "binary" else "bigint")
    sums = [
        F.coalesce(F.sum(counted), F.lit(0)).cast(behaviour.sum_type),
        F.count(counted).cast("bigint"),
        F.coalesce(F.sum(exact * exact), F.lit(0)).cast(behaviour.square_type),
    ]
    return sums[: len(part_columns(aggregate.name, aggregate.agg))]


def _to_values(aggregate: Aggregate, events: DataFrame, grain: list[str]) -> DataFrame:
    """Return the values of a top_k with their counts, or the last k moments: one row per key and day."""
    (name,) = part_columns(aggregate.name, aggregate.agg)
    value = (
        readable(str(aggregate.of), events)
        if aggregate.split is None
        else F.explode(F.array_distinct(bag(str(aggregate.of), aggregate.split)))
    )
    rows = events.where(readable(aggregate.where, events)) if aggregate.where else events
    valued = rows.select(*grain, *MOMENT, value.alias("value")).where(F.col("value").isNotNull())
    if aggregate.agg == "top_k":
        counted = valued.groupBy(*grain, "value").agg(F.count("*").alias("count"))
        pair = F.struct("value", "count")
        return counted.groupBy(*grain).agg(F.sort_array(F.collect_list(pair)).alias(name))
    newest_first = Window.partitionBy(*grain).orderBy(*(F.col(each).desc() for each in MOMENT))
    last = valued.withColumn("place", F.row_number().over(newest_first)).where(
        F.col("place") <= (aggregate.k or 1)
    )
    moments = F.collect_list(F.struct(*MOMENT, "value"))
    return last.groupBy(*grain).agg(newest(moments, aggregate.k).alias(name))


def _where(aggregate: Aggregate, value: Column, events: DataFrame) -> Column:
    return F.when(readable(aggregate.where, events), value) if aggregate.where else value


def _moment(value: Column) -> Column:
    """Return (event_time, event_id, value); null where there is no value."""
    return F.when(value.isNotNull(), F.struct(*MOMENT, value.alias("value")))
