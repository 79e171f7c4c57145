"""Features of all users or items as of each data date of a range.

Steps: a daily tile -> the data dates whose windows contain it -> a sum per trailing window;
all-time = state as of the day before the range + running sum over the range; at the end one dense
row for each known key. Sums are bigint or decimal, so a range equals its dates taken one by one.
"""

from collections.abc import Callable
from datetime import date
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from core.columns import feature_columns
from core.config_model import EntityName
from core.schema import Aggregate, EntityFeatures, Rate

ALL = "all"
MERGE: dict[str, Callable[[Column], Column]] = {"count": F.sum, "sum": F.sum, "min": F.min, "max": F.max}

# When an entity was seen: two measures that every entity has, kept like the declared ones.
PRESENCE = (
    Aggregate(name="first_event_time", agg="min", of="event_time", windows=(ALL,)),
    Aggregate(name="last_data_date", agg="max", of="data_date", windows=(ALL,)),
)


class Measure(NamedTuple):
    """One feature column that is merged from one tile column over one window."""

    column: str
    tile_column: str
    agg: str
    window: str

    @property
    def is_total(self) -> bool:
        """Whether it is 0 without events, and not null."""
        return self.agg in ("count", "sum")


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
    Units: counts are events and sums their behaviour's unit, 0 without events; minima, maxima, recency
    (days since the last day with an event) and rates are null where there is no value.
    Cost: tiles of the range x days of the longest window, and dense keys x dates; both are shuffled.

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
    measures = _measures(features, entity)
    grain = [f"{entity}_id", "data_date"]
    sightings = _to_sightings(tiles, longest_window_days(features), first, last)
    rows = keys.select(*grain).join(_to_sums(sightings, measures, grain), on=grain, how="left")
    rows = _with_all_time(rows, state, measures, f"{entity}_id")
    rows = _with_zeros(rows, measures, dict(sightings.dtypes))
    rows = _with_attributes(rows, entities, features.attributes, f"{entity}_id")

    last_seen = F.col(f"{entity}_last_data_date_all")
    return rows.select(
        *grain,
        last_seen.isNull().alias(f"{entity}_is_never_seen"),
        F.datediff("data_date", last_seen).cast("int").alias(f"{entity}_recency_days"),
        *(measure.column for measure in measures),
        *(_rate(rate, window, entity) for rate in features.rates for window in rate.windows),
        *features.attributes,
    )


def unknown_defaults(features: EntityFeatures, entity: EntityName) -> dict[str, bool | int | None]:
    """Return the feature columns of a key that is not known: never seen, counts 0, no attribute."""
    unknown: dict[str, bool | int | None] = dict.fromkeys(feature_columns(features, entity))
    totals = [measure.column for measure in _measures(features, entity) if measure.is_total]
    return unknown | {f"{entity}_is_never_seen": True} | dict.fromkeys(totals, 0)


def longest_window_days(features: EntityFeatures) -> int:
    """Return how many days of tiles one data date reads, itself included."""
    return max(
        (_days(window) for aggregate in features.aggregates for window in aggregate.windows), default=1
    )


def no_state(tiles: DataFrame, features: EntityFeatures, entity: EntityName) -> DataFrame:
    """Return the state before the first event: no rows, the all-time columns."""
    all_time = [measure for measure in _measures(features, entity) if measure.window == ALL]
    return (
        tiles.where(F.lit(False))
        .withColumn("last_data_date", F.col("data_date"))
        .select(f"{entity}_id", *(F.col(measure.tile_column).alias(measure.column) for measure in all_time))
    )


def _measures(features: EntityFeatures, entity: EntityName) -> list[Measure]:
    """Return all measures, in the order of their columns."""
    return [
        Measure(f"{entity}_{aggregate.name}_{window}", aggregate.name, aggregate.agg, window)
        for aggregate in (*PRESENCE, *features.aggregates)
        for window in aggregate.windows
    ]


def _days(window: str) -> int:
    """Return the days of tiles that a window merges; all-time adds the date's own tile to the state."""
    return 1 if window == ALL else int(window.removesuffix("d"))


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


def _to_sums(sightings: DataFrame, measures: list[Measure], grain: list[str]) -> DataFrame:
    """Merge the tiles of each data date: its trailing windows; for all-time, its own tile."""

    def merged(measure: Measure) -> Column:
        is_inside = F.col("age_days") < _days(measure.window)
        return MERGE[measure.agg](F.when(is_inside, F.col(measure.tile_column))).alias(measure.column)

    return sightings.groupBy(*grain).agg(*map(merged, measures))


def _with_all_time(rows: DataFrame, state: DataFrame, measures: list[Measure], key: str) -> DataFrame:
    """Add all-time measures: the state merged with the range up to each date."""
    all_time = [measure for measure in measures if measure.window == ALL]
    up_to_the_date = (
        Window.partitionBy(key).orderBy("data_date").rowsBetween(Window.unboundedPreceding, Window.currentRow)
    )

    def merged(measure: Measure) -> Column:
        before = F.col(f"{measure.column}_before")
        since = MERGE[measure.agg](F.col(measure.column)).over(up_to_the_date)
        match measure.agg:  # null: no events on that side
            case "min":
                return F.least(before, since)
            case "max":
                return F.greatest(before, since)
            case _:
                return F.coalesce(before, F.lit(0)) + F.coalesce(since, F.lit(0))

    before_the_range = state.select(key, *(F.col(m.column).alias(f"{m.column}_before") for m in all_time))
    return rows.join(before_the_range, on=key, how="left").withColumns(
        {measure.column: merged(measure) for measure in all_time}
    )


def _with_zeros(rows: DataFrame, measures: list[Measure], tile_types: dict[str, str]) -> DataFrame:
    """Set counts and sums without events to 0, and cast each measure to the type that it has in a tile."""

    def filled(measure: Measure) -> Column:
        value = F.coalesce(measure.column, F.lit(0)) if measure.is_total else F.col(measure.column)
        return value.cast(tile_types[measure.tile_column])

    return rows.withColumns({measure.column: filled(measure) for measure in measures})


def _rate(rate: Rate, window: str, entity: EntityName) -> Column:
    """Return (of + prior x strength) / (per + strength), in double; null when nothing was shown."""
    of = F.col(f"{entity}_{rate.of}_{window}").cast("double")
    per = F.col(f"{entity}_{rate.per}_{window}").cast("double")
    prior, strength = (rate.smoothing.prior, rate.smoothing.strength) if rate.smoothing else (0.0, 0.0)
    smoothed = (of + prior * strength) / (per + strength)
    return F.when(per > 0, smoothed).alias(f"{entity}_{rate.name}_{window}")


def _with_attributes(
    rows: DataFrame, entities: DataFrame, attributes: tuple[str, ...], key: str
) -> DataFrame:
    """Add the attributes that are valid on the data date."""
    described = entities.select(F.col(key).alias("described_id"), "valid_from", "valid_to", *attributes)
    is_valid = (F.col("valid_from") <= F.col("data_date")) & (
        F.col("valid_to").isNull() | (F.col("data_date") < F.col("valid_to"))
    )
    return rows.join(described, on=(F.col(key) == F.col("described_id")) & is_valid, how="left")
