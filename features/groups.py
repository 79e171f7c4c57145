"""Groups of features whose key is an attribute of users or items, a context column, or a cross.

To tiles an event counts for the key that its user or item has on the event's data date. Models read the
features of the key that a user or an item has as of the features' date: `with_group_features` is what both
examples and scoring join by. Of a cross scoring takes `to_key_features` alone, since pairs do not exist in
Spark there.
"""

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.columns import feature_columns, group_side, key_columns
from core.encoder import Entity
from core.features import FeatureGroup
from core.schema import Config
from features.bags import bag
from features.measures import measures_of, merge_of
from features.windows import unknown_defaults, with_values

KEY = "_key"


def with_group_key(events: DataFrame, features: FeatureGroup, group: str) -> DataFrame:
    """Add <group>_id to events; one whose key is a list of values comes once per value.

    Grain: (event_id, <group>_id). Events without a key, null or an empty string, are left out.

    Args:
        events: with the column that `key` names.
        features: its key and `split`.
        group: its name.
    """
    key = str(features.key_column)
    if features.split is not None:
        return events.withColumn(f"{group}_id", F.explode(F.array_distinct(bag(key, features.split))))
    empty = F.lit("").try_cast(events.schema[key].dataType)
    return events.withColumn(f"{group}_id", F.nullif(F.col(key), empty)).where(
        F.col(f"{group}_id").isNotNull()
    )


def with_group_features(
    rows: DataFrame, tables: Mapping[str, DataFrame], config: Config, side: Entity
) -> DataFrame:
    """Add the features of the groups whose key is on one side of a pair, as of each row's data date.

    A key without events, or none, has counts 0, is never seen, and the rest null. Of a list of values
    (`split`) the measures of its values are merged: counts and sums add up, rates are taken of these.

    Grain: as it came: users or items with their attributes, impressions with their context, or for side
    `pair` impressions with their user_id and the attributes of their item.
    Cost: a join with the keys of each group; nothing where no group is on the side.

    Args:
        rows: with the columns that are keys, and data_date.
        tables: group -> its features, and its state where a key is a list; grain as of `key_columns`, and
            data_date.
        config: its features and context columns.
        side: of the rows.
    """
    for group, table in tables.items():
        if group_side(config, group) == side:
            rows = _with_group(rows, table, config.features.groups[group], group)
    return rows


def to_key_features(keys: DataFrame, table: DataFrame, features: FeatureGroup, group: str) -> DataFrame:
    """Return the features of the values of a key column; of a list of values the merged parts of its values.

    Grain: (_key, data_date), of a cross (user_id, _key, data_date). Keys without an event have no row; of a
    key that is no list there may be rows that `keys` does not name.
    Cost: of lists a join of their values with the group, and a shuffle of what it finds.

    Args:
        keys: values of the key column as `_key`, and data_date, each once; of a cross with user_id, or
            without it: then for all users.
        table: features of the group, and its state where a key is a list.
        features: its key, aggregates and rates.
        group: its name.
    """
    *owner, value = key_columns(features, group)
    grain = [*owner, KEY, "data_date"]
    columns = feature_columns(features, group)
    if features.split is None:
        return table.withColumnRenamed(value, KEY).select(*grain, *columns)
    types = dict(table.dtypes)
    by = [*(name for name in owner if name in keys.columns), value, "data_date"]
    values = keys.withColumn(value, F.explode(F.array_distinct(bag(KEY, features.split))))
    merged = []
    for measure in measures_of(features, group):
        merge = merge_of(measure.aggregate)
        for part in measure.parts:
            total = merge.settle(merge.gather(F.col(part)))
            merged.append((total.cast(types[part]) if measure.is_summed else total).alias(part))
    lists = values.join(table, on=by, how="inner").groupBy(*grain).agg(*merged)
    return with_values(lists, features, group).select(*grain, *columns)


def _with_group(rows: DataFrame, table: DataFrame, features: FeatureGroup, group: str) -> DataFrame:
    *owner, _ = key_columns(features, group)
    grain = [*owner, KEY, "data_date"]
    keyed = rows.withColumn(KEY, F.col(str(features.key_column)))
    known = to_key_features(keyed.select(*grain).distinct(), table, features, group)
    types = dict(known.dtypes)
    filled = {
        column: F.coalesce(column, F.lit(value).cast(types[column]))
        for column, value in unknown_defaults(features, group).items()
        if value is not None  # of a known key these are never null, so only the unknown change
    }
    return keyed.join(known, on=grain, how="left").drop(KEY).withColumns(filled)
