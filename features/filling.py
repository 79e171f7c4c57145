"""Fill in measures that tiles and state of earlier data dates lack, from tiles made of their events.

A measure that is declared later has no parts in tiles and state that were stored before. Merging is exact, so
that parts made of earlier events now equal those that would have been stored then.
"""

from collections.abc import Collection

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from core.columns import key_columns, part_columns
from core.features import FeatureGroup
from features.measures import ALL, PRESENCE, Measure, measures_of, merge_of


def with_tile_parts(
    tiles: DataFrame, made: DataFrame, features: FeatureGroup, names: Collection[str], group: str
) -> DataFrame:
    """Replace the parts of some aggregates in the tiles of earlier data dates by newly made ones.

    Grain: (<group>_id, data_date), of a cross with user_id: the rows of `tiles`; of a group that had none,
    those of `made`.

    Args:
        tiles: as they are stored, of earlier data dates.
        made: tiles of the same data dates that hold the aggregates.
        features: the group's declaration.
        names: the aggregates.
        group: its name.
    """
    grain = [*key_columns(features, group), "data_date"]
    parts = [part for a in features.aggregates if a.name in names for part in part_columns(a.name, a.agg)]
    first = PRESENCE[0].name
    stored = tiles.drop(*parts).withColumnRenamed(first, "_stored")
    joined = stored.join(made.select(*grain, first, *parts), on=grain, how="full")
    return joined.withColumn(first, F.coalesce("_stored", first)).select(*tiles.columns)


def with_state_parts(
    state: DataFrame, made: DataFrame, features: FeatureGroup, names: Collection[str], group: str
) -> DataFrame:
    """Replace the all-time parts of some aggregates in a state by the merge of newly made tiles.

    Grain: (<group>_id), the keys of both; when a key was seen first and last is taken from the tiles where
    the state does not know it. Cost: one shuffle of the tiles by key.

    Args:
        state: features and state as of one data date, or `windows.no_state`.
        made: tiles of all data dates up to it that hold the aggregates.
        features: the group's declaration.
        names: the aggregates.
        group: its name.
    """
    key = f"{group}_id"
    presence = [aggregate.name for aggregate in PRESENCE]
    measures = [
        measure
        for measure in measures_of(features, group)
        if measure.window == ALL and measure.aggregate.name in {*names, *presence}
    ]
    seen = {f"{group}_{name}_{ALL}" for name in presence}
    replaced = [part for measure in measures for part in measure.parts if part not in seen]
    types = dict(made.dtypes)
    parts = [
        _merged(measure, tile_part, types).alias(f"_{part}" if part in seen else part)
        for measure in measures
        for part, tile_part in zip(measure.parts, measure.tile_parts, strict=True)
    ]
    merged = made.withColumn("last_data_date", F.col("data_date")).groupBy(key).agg(*parts)
    joined = state.drop(*replaced).join(merged, on=key, how="full")
    return joined.withColumns({name: F.coalesce(name, f"_{name}") for name in seen})


def _merged(measure: Measure, tile_part: str, types: dict[str, str]) -> Column:
    merge = merge_of(measure.aggregate)
    total = merge.settle(merge.gather(F.col(tile_part)))
    return total.cast(types[tile_part]) if measure.is_summed else total
