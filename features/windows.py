"""Features of all keys of a group as of each data date of a range.

Steps: a daily tile -> the data dates whose windows contain it -> merged parts per trailing window;
all-time = state as of the day before the range, merged with the range up to each date; at the end one dense
row for each known key. Merging is exact, so a range equals its dates taken one by one.
"""

from collections.abc import Mapping
from datetime import date, timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from core.columns import built_in_features, feature_columns, key_columns, state_columns
from core.features import FeatureGroup, Rate
from features.attributes import with_attributes
from features.measures import ALL, Measure, Merge, measures_of, merge_of, value_of


def to_features(
    keys: DataFrame,
    tiles: DataFrame,
    state: DataFrame,
    entities: DataFrame | None,
    features: FeatureGroup,
    group: str,
    first: date,
    last: date,
) -> DataFrame:
    """Merge daily tiles into trailing windows and all-time totals, one row for every known key.

    Grain: (<group>_id, data_date), the rows of `keys`. Columns: those of <group>_features, then those of
    <group>_state.
    As of: the end of data_date; 7d reads data_date - 6 .. data_date, no later day.
    Units: counts are events and sums their behaviour's unit, 0 without events; recency is in days. Other
    measures, and rates, are null where there is no value.
    Cost: tiles of the range x days of the longest window, and dense keys x dates; both are shuffled.

    Args:
        keys: known keys of each date, grain (<group>_id, data_date).
        tiles: daily tiles of first - (longest window - 1) .. last.
        state: features and state as of the day before `first`, or `no_state`.
        entities: attributes, grain (<group>_id, valid_from); None: the group has none.
        features: aggregates, rates and attributes.
        group: its name, the prefix of all columns.
        first: first data date of the range.
        last: last data date of the range.
    """
    measures = measures_of(features, group)
    grain = [f"{group}_id", "data_date"]
    types = dict(tiles.dtypes)
    sightings = _to_sightings(tiles, longest_window_days(features), first, last)
    # Of a single date, which a night is, everything is joined by the key: rows are shuffled once, and narrow.
    on = grain[:1] if first == last else grain
    rows = keys.select(*grain).join(_to_merged_tiles(sightings, measures, on), on=on, how="left")
    if first == last:
        rows = _with_state(rows, state, measures, grain[0])
    else:
        rows = _with_all_time(rows, state, measures, grain, first - timedelta(days=1))
    rows = _with_zeros(rows, measures, types)
    if entities is not None:
        rows = with_attributes(rows, entities, features.attributes, f"{group}_id")
    columns = [*feature_columns(features, group), *state_columns(features, group)]
    return with_values(rows, features, group).select(*grain, *columns)


def to_cross_features(
    tiles: DataFrame, features: FeatureGroup, group: str, first: date, last: date
) -> DataFrame:
    """Merge daily tiles into the trailing windows of a cross: a row for every pair seen in the longest one.

    Its windows are of days only, so that a data date is made of the tiles of its windows, and of no state.

    Grain: (user_id, <group>_id, data_date). Columns, as of and units: as of `to_features`.
    Cost: tiles of the range x days of the longest window, shuffled once.

    Args:
        tiles: daily tiles of first - (longest window - 1) .. last.
        features: aggregates and rates.
        group: its name, the prefix of all columns.
        first: first data date of the range.
        last: last data date of the range.
    """
    measures = measures_of(features, group)
    grain = [*key_columns(features, group), "data_date"]
    sightings = _to_sightings(tiles, longest_window_days(features), first, last)
    rows = _with_zeros(_to_merged_tiles(sightings, measures, grain), measures, dict(tiles.dtypes))
    columns = [*feature_columns(features, group), *state_columns(features, group)]
    return with_values(rows, features, group).select(*grain, *columns)


def with_values(rows: DataFrame, features: FeatureGroup, group: str) -> DataFrame:
    """Add the values of all measures and rates, and the built-in features, to rows that hold merged parts.

    Args:
        rows: the parts of all measures, and data_date, as of which they are.
        features: aggregates and rates.
        group: its name.
    """
    values = {measure.column: value_of(measure) for measure in measures_of(features, group)}
    rates = {f"{group}_{r.name}_{w}": _rate(r, w, group) for r in features.rates for w in r.windows}
    if built_in_features(features):
        last_seen = F.col(f"{group}_last_data_date_all")
        values |= {
            f"{group}_is_never_seen": last_seen.isNull(),
            f"{group}_recency_days": F.datediff("data_date", last_seen).cast("int"),
        }
    return rows.withColumns(values).withColumns(rates)


def unknown_defaults(features: FeatureGroup, group: str) -> dict[str, bool | int | None]:
    """Return the feature columns of a key that has no row: never seen, counts 0, no attribute."""
    unknown: dict[str, bool | int | None] = dict.fromkeys(feature_columns(features, group))
    totals = [measure.column for measure in measures_of(features, group) if measure.is_total]
    never_seen = {f"{group}_is_never_seen": True} if built_in_features(features) else {}
    return unknown | never_seen | dict.fromkeys(totals, 0)


def longest_window_days(features: FeatureGroup) -> int:
    """Return how many days of tiles one data date reads, itself included."""
    return max((measure.days for measure in measures_of(features, "")), default=1)


def no_state(tiles: DataFrame, features: FeatureGroup, group: str) -> DataFrame:
    """Return the state before the first event: no rows, the parts of all-time measures."""
    parts = [
        F.col(tile_part).alias(part)
        for measure in measures_of(features, group)
        if measure.window == ALL
        for part, tile_part in zip(measure.parts, measure.tile_parts, strict=True)
    ]
    none = tiles.where(F.lit(False)).withColumn("last_data_date", F.col("data_date"))
    return none.select(f"{group}_id", *parts)


def _to_sightings(tiles: DataFrame, days: int, first: date, last: date) -> DataFrame:
    """Return each tile once per data date of the range whose windows contain it, with its age there.

    With a longest window of 7 days, a tile of 05-02 belongs to 05-02 (age 0) .. 05-08 (age 6).
    """
    seen_from = F.greatest("data_date", F.lit(first))
    seen_to = F.least(F.date_add("data_date", days - 1), F.lit(last))
    return (
        tiles.where(seen_from <= seen_to)
        .withColumn("last_data_date", F.col("data_date"))
        .withColumn("data_date", F.explode(F.sequence(seen_from, seen_to)))
        .withColumn("age_days", F.datediff("data_date", "last_data_date"))
    )


def _to_merged_tiles(sightings: DataFrame, measures: list[Measure], grain: list[str]) -> DataFrame:
    """Merge the tiles of each data date: its trailing windows; for all-time, its own tile."""
    parts = []
    for measure in measures:
        merge, is_inside = merge_of(measure.aggregate), F.col("age_days") < measure.days
        for part, tile_part in zip(measure.parts, measure.tile_parts, strict=True):
            parts.append(merge.settle(merge.gather(F.when(is_inside, F.col(tile_part)))).alias(part))
    return sightings.groupBy(*grain).agg(*parts)


def _with_state(rows: DataFrame, state: DataFrame, measures: list[Measure], key: str) -> DataFrame:
    """Merge all-time parts of a single date with the state as of the day before."""
    merges = _all_time_merges(measures)
    before = state.select(key, *(F.col(part).alias(f"{part}_before") for part in merges))
    merged = {part: merge.of_pair(F.col(f"{part}_before"), F.col(part)) for part, merge in merges.items()}
    joined = rows.join(before, on=key, how="left").withColumns(merged)
    return joined.drop(*(f"{part}_before" for part in merges))


def _with_all_time(
    rows: DataFrame, state: DataFrame, measures: list[Measure], grain: list[str], day_before: date
) -> DataFrame:
    """Merge all-time parts over the state and the range up to each date."""
    merges = _all_time_merges(measures)
    key, data_date = grain
    before = state.select(key, F.lit(day_before).alias(data_date), *merges)
    up_to_the_date = (
        Window.partitionBy(key).orderBy(data_date).rowsBetween(Window.unboundedPreceding, Window.currentRow)
    )
    merged = {
        part: merge.settle(merge.gather(F.col(part)).over(up_to_the_date)) for part, merge in merges.items()
    }
    every = rows.unionByName(before, allowMissingColumns=True).withColumns(merged)
    return every.where(F.col(data_date) != day_before)


def _all_time_merges(measures: list[Measure]) -> dict[str, Merge]:
    """Return the parts of all-time measures, and how each merges."""
    return {
        part: merge_of(measure.aggregate)
        for measure in measures
        if measure.window == ALL
        for part in measure.parts
    }


def _with_zeros(rows: DataFrame, measures: list[Measure], tile_types: Mapping[str, str]) -> DataFrame:
    """Set sums without events to 0, and cast them to the type that they have in a tile."""
    filled = {
        part: F.coalesce(part, F.lit(0)).cast(tile_types[tile_part])
        for measure in measures
        if measure.is_summed
        for part, tile_part in zip(measure.parts, measure.tile_parts, strict=True)
    }
    return rows.withColumns(filled)


def _rate(rate: Rate, window: str, group: str) -> Column:
    """Return (of + prior x strength) / (per + strength), in double; null when nothing was shown."""
    of = F.col(f"{group}_{rate.of}_{window}").cast("double")
    per = F.col(f"{group}_{rate.per}_{rate.per_window or window}").cast("double")
    prior, strength = (rate.smoothing.prior, rate.smoothing.strength) if rate.smoothing else (0.0, 0.0)
    return F.when(per > 0, (of + prior * strength) / (per + strength))
