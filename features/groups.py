"""Groups of features whose key is an attribute of users or items, or a context column.

To tiles an event counts for the key that its user or item has on the event's data date. Models read the
features of the key that a user or an item has as of the features' date: `with_group_features` is what both
examples and scoring join by.
"""

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.columns import feature_columns, group_side
from core.encoder import Entity
from core.features import FeatureGroup
from core.schema import Config
from features.bags import bag
from features.measures import measures_of, merge_of
from features.windows import unknown_defaults, with_values


def with_group_key(events: DataFrame, features: FeatureGroup, group: str) -> DataFrame:
    """Add <group>_id to events; one whose key is a list of values comes once per value.

    Grain: (event_id, <group>_id). Events without a key, null or an empty string, are left out.

    Args:
        events: with the column that `key` names.
        features: its key and `split`.
        group: its name.
    """
    key = str(features.key)
    if features.split is not None:
        return events.withColumn(f"{group}_id", F.explode(F.array_distinct(bag(key, features.split))))
    empty = F.lit("").try_cast(events.schema[key].dataType)
    return events.withColumn(f"{group}_id", F.nullif(F.col(key), empty)).where(
        F.col(f"{group}_id").isNotNull()
    )


def with_group_features(
    rows: DataFrame, tables: Mapping[str, DataFrame], config: Config, side: Entity
) -> DataFrame:
    """Add the features of all groups whose key is on one side of a pair, as of each row's data date.

    A key without events, or none, has counts 0, is never seen, and the rest null. Of a list of values
    (`split`) the measures of its values are merged: counts and sums add up, rates are taken of these.

    Grain: as it came: users or items with their attributes, or impressions with their context.
    Cost: a join with the keys of each group; nothing where no group is on the side.

    Args:
        rows: with the columns that are keys, and data_date.
        tables: group -> its features, and its state where a key is a list; grain (<group>_id, data_date). A
            group that is not among them is not added.
        config: its features and context columns.
        side: of the rows.
    """
    for group, features in config.features.keyed.items():
        if group in tables and group_side(config, group) == side:
            rows = _with_group(rows, tables[group], features, group)
    return rows


def _with_group(rows: DataFrame, table: DataFrame, features: FeatureGroup, group: str) -> DataFrame:
    key, columns = str(features.key), feature_columns(features, group)
    if features.split is None:
        known = table.withColumnRenamed(f"{group}_id", "_key")
    else:
        lists = rows.select(F.col(key).alias("_key"), "data_date").distinct()
        known = _to_lists(lists, table, features, features.split, group)
    known = known.select("_key", F.col("data_date").alias("_as_of"), *columns)
    is_its_key = (F.col(key) == F.col("_key")) & (F.col("data_date") == F.col("_as_of"))
    types = dict(known.dtypes)
    filled = {
        column: F.coalesce(column, F.lit(value).cast(types[column]))
        for column, value in unknown_defaults(features, group).items()
        if value is not None  # of a known key these are never null, so only the unknown change
    }
    return rows.join(known, on=is_its_key, how="left").drop("_key", "_as_of").withColumns(filled)


def _to_lists(
    lists: DataFrame, table: DataFrame, features: FeatureGroup, separator: str, group: str
) -> DataFrame:
    """Return the features of lists of values, (_key, data_date): the merged parts of their values."""
    value, types = f"{group}_id", dict(table.dtypes)
    of_values = lists.withColumn(value, F.explode(F.array_distinct(bag("_key", separator)))).join(
        table, on=[value, "data_date"], how="inner"
    )
    merged = []
    for measure in measures_of(features, group):
        merge = merge_of(measure.aggregate)
        for part in measure.parts:
            total = merge.settle(merge.gather(F.col(part)))
            merged.append((total.cast(types[part]) if measure.is_summed else total).alias(part))
    return with_values(of_values.groupBy("_key", "data_date").agg(*merged), features, group)
