"""Features of all users or items as of each data date of a range.

The way of a number: a daily tile -> the data dates that still see it -> a sum per trailing window;
all-time = state as of the day before the range + running sum over the range; at the end one dense
row for each known key. Sums are bigint or decimal, so a range equals its dates taken one by one.
"""

from collections.abc import Callable
from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from conf.features import feature_columns
from conf.schema import Aggregate, EntityFeatures, EntityName, Rate

ALL = "all"
MERGE: dict[str, Callable[[Column], Column]] = {"count": F.sum, "sum": F.sum, "min": F.min, "max": F.max}

# When an entity was seen: two measures that every entity has, kept like the declared ones.
PRESENCE = (
    Aggregate(name="first_event_time", agg="min", of="event_time", windows=(ALL,)),
    Aggregate(name="last_data_date", agg="max", of="data_date", windows=(ALL,)),
)


def to_features(
    keys: DataFrame,
    tiles: DataFrame,
    state: DataFrame,
    entities: DataFrame,
    features: EntityFeatures,
    entity: EntityName,
    first: date,
    last: date,
) -> DataFrame:
    """Merge daily tiles into trailing windows and all-time totals, one row for every known key.

    Grain: (<entity>_id, data_date), the rows of `keys`.
    As of: the end of data_date; 7d reads data_date - 6 .. data_date, no later day.
    Units: counts are events and sums their behaviour's unit, 0 for the silent; minima, maxima, recency
    (days since the last day with an event) and rates are null where there is nothing to tell.
    Cost: tiles of the range x longest window, and dense keys x dates; three shuffles.

    Args:
        keys: known keys of each date, grain (<entity>_id, data_date).
        tiles: daily tiles of first - (longest window - 1) .. last.
        state: features as of the day before `first`, or `no_state`.
        entities: attributes, grain (<entity>_id, valid_from).
        features: aggregates, rates and attributes.
        entity: "user" or "item", the prefix of all columns.
        first: first data date of the range.
        last: last data date of the range.
    """
    grain = [f"{entity}_id", "data_date"]
    sums = _to_sums(_to_sightings(tiles, longest_window_days(features), first, last), features, entity)
    rows = keys.select(*grain).join(sums, on=grain, how="left")
    rows = _with_all_time(rows, state, features, entity)
    rows = _with_zeros_for_the_silent(rows, _tile_types(tiles), features, entity)
    rows = _with_attributes(rows, entities, features, entity)

    last_seen = F.col(f"{entity}_last_data_date_all")
    return rows.select(
        *grain,
        last_seen.isNull().alias(f"{entity}_is_never_seen"),
        F.datediff("data_date", last_seen).cast("int").alias(f"{entity}_recency_days"),
        *(column for column, _, _ in _measures(features, entity)),
        *(_rate(rate, window, entity) for rate in features.rates for window in rate.windows),
        *features.attributes,
    )


def silent_defaults(features: EntityFeatures, entity: EntityName) -> dict[str, bool | int | None]:
    """What `to_features` would say of a key that it does not know: never seen, no event, no attribute."""
    totals = [column for column, measure, _ in _measures(features, entity) if measure.agg in ("count", "sum")]
    unknown: dict[str, bool | int | None] = dict.fromkeys(feature_columns(features, entity))
    return unknown | {f"{entity}_is_never_seen": True} | dict.fromkeys(totals, 0)


def longest_window_days(features: EntityFeatures) -> int:
    """Days of tiles that one data date reads, itself included; all-time reads the date's own."""
    windows = {window for aggregate in features.aggregates for window in aggregate.windows}
    return max((_days(window) for window in windows - {ALL}), default=1)


def no_state(tiles: DataFrame, features: EntityFeatures, entity: EntityName) -> DataFrame:
    """The state before the first event of all: no rows, the all-time columns."""
    return _with_last_data_date(tiles.where(F.lit(False))).select(
        f"{entity}_id",
        *(F.col(m.name).alias(column) for column, m, window in _measures(features, entity) if window == ALL),
    )


def _measures(features: EntityFeatures, entity: EntityName) -> list[tuple[str, Aggregate, str]]:
    """(feature column, what it measures, over which window), in the order of the columns."""
    return [
        (f"{entity}_{measure.name}_{window}", measure, window)
        for measure in (*PRESENCE, *features.aggregates)
        for window in measure.windows
    ]


def _days(window: str) -> int:
    return int(window.removesuffix("d"))


def _with_last_data_date(tiles: DataFrame) -> DataFrame:
    return tiles.withColumn("last_data_date", F.col("data_date"))


def _tile_types(tiles: DataFrame) -> dict[str, str]:
    return dict(_with_last_data_date(tiles).dtypes)


def _to_sightings(tiles: DataFrame, days: int, first: date, last: date) -> DataFrame:
    """Each tile once for every data date of the range that still sees it, with its age there.

    A tile of 05-02 is seen by 05-02 (age 0) .. 05-08 (age 6) when the longest window is 7 days.
    """
    seen_from = F.greatest("data_date", F.lit(first))
    seen_to = F.least(F.date_add("data_date", days - 1), F.lit(last))
    return (
        _with_last_data_date(tiles)
        .where(seen_from <= seen_to)
        .withColumn("data_date", F.explode(F.sequence(seen_from, seen_to)))
        .withColumn("age_days", F.datediff("data_date", "last_data_date"))
    )


def _to_sums(sightings: DataFrame, features: EntityFeatures, entity: EntityName) -> DataFrame:
    """Merge what a data date sees: its trailing windows; for all-time, its own tile."""
    return sightings.groupBy(f"{entity}_id", "data_date").agg(
        *(
            MERGE[measure.agg](
                F.when(F.col("age_days") < (1 if window == ALL else _days(window)), F.col(measure.name))
            ).alias(column)
            for column, measure, window in _measures(features, entity)
        )
    )


def _with_all_time(
    rows: DataFrame, state: DataFrame, features: EntityFeatures, entity: EntityName
) -> DataFrame:
    """Turn each date's own tile into all-time: state merged with the range up to the date."""
    key = f"{entity}_id"
    up_to_the_date = (
        Window.partitionBy(key).orderBy("data_date").rowsBetween(Window.unboundedPreceding, Window.currentRow)
    )
    all_time = {
        column: measure.agg for column, measure, window in _measures(features, entity) if window == ALL
    }
    before = state.select(key, *(F.col(column).alias(f"{column}_before") for column in all_time))
    return rows.join(before, on=key, how="left").withColumns(
        {
            column: _merged(agg, F.col(f"{column}_before"), MERGE[agg](F.col(column)).over(up_to_the_date))
            for column, agg in all_time.items()
        }
    )


def _merged(agg: str, before: Column, since: Column) -> Column:
    """Two partial results as one; a null is a part without events."""
    if agg == "min":
        return F.least(before, since)
    if agg == "max":
        return F.greatest(before, since)
    return F.coalesce(before, F.lit(0)) + F.coalesce(since, F.lit(0))


def _with_zeros_for_the_silent(
    rows: DataFrame, types: dict[str, str], features: EntityFeatures, entity: EntityName
) -> DataFrame:
    """Counts and sums of nothing are 0; every measure has the type that it has in a tile."""
    return rows.withColumns(
        {
            column: (F.coalesce(column, F.lit(0)) if measure.agg in ("count", "sum") else F.col(column)).cast(
                types[measure.name]
            )
            for column, measure, _ in _measures(features, entity)
        }
    )


def _rate(rate: Rate, window: str, entity: EntityName) -> Column:
    """(of + prior x strength) / (per + strength), in double; null when nothing was shown."""
    of = F.col(f"{entity}_{rate.of}_{window}").cast("double")
    per = F.col(f"{entity}_{rate.per}_{window}").cast("double")
    prior, strength = (rate.smoothing.prior, rate.smoothing.strength) if rate.smoothing else (0.0, 0.0)
    smoothed = (of + prior * strength) / (per + strength)
    return F.when(per > 0, smoothed).alias(f"{entity}_{rate.name}_{window}")


def _with_attributes(
    rows: DataFrame, entities: DataFrame, features: EntityFeatures, entity: EntityName
) -> DataFrame:
    """Add the attributes that are valid on the data date."""
    described = entities.select(
        F.col(f"{entity}_id").alias("described_id"), "valid_from", "valid_to", *features.attributes
    )
    is_valid = (F.col("valid_from") <= F.col("data_date")) & (
        F.col("valid_to").isNull() | (F.col("data_date") < F.col("valid_to"))
    )
    return rows.join(described, on=(F.col(f"{entity}_id") == F.col("described_id")) & is_valid, how="left")
