"""All users of a night through the lists of a configuration, inside Spark workers."""

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.types import to_arrow_schema

from core.schema import Config
from jobs.workers.listing import OWN, RUN, SEEN, NightLists, to_lists
from jobs.workers.night_items import NightItems
from jobs.workers.slices import Slices
from jobs.workers.vectors import PREFIX


def with_own_items(users: DataFrame, user_pools: DataFrame, items: NightItems) -> DataFrame:
    """Add the places of the items that lists have for single users, an array per list; null for none.

    Grain: as it came. Cost: the pairs of the pools, shuffled to their users.

    Args:
        users: with user_id.
        user_pools: list, user_id and item_id, each once.
        items: of the night.
    """
    placed = user_pools.join(F.broadcast(items.places(users.sparkSession)), on="item_id", how="inner")
    arrays = [
        F.collect_list(F.when(F.col("list") == each.name, F.col("place"))).alias(f"{OWN}{each.name}")
        for each in items.lists
        if each.has_own
    ]
    by_user = placed.groupBy("user_id").agg(*arrays)
    return users.join(by_user, on="user_id", how="left")


def with_seen_items(users: DataFrame, events: DataFrame, items: NightItems, data_date: date) -> DataFrame:
    """Add the items that users have an event with: place -> days since the last one; null for none.

    Grain: as it came. Cost: one shuffle of the events by user and item, and one of the pairs to their users.

    Args:
        users: with user_id.
        events: of the days that lists look back.
        items: of the night.
        data_date: from which days are counted.
    """
    placed = events.join(F.broadcast(items.places(users.sparkSession)), on="item_id", how="inner")
    days = F.date_diff(F.lit(data_date), F.max("data_date")).alias("days")
    pairs = placed.groupBy("user_id", "place").agg(days)
    by_user = pairs.groupBy("user_id").agg(
        F.map_from_entries(F.collect_list(F.struct("place", "days"))).alias(SEEN)
    )
    return users.join(by_user, on="user_id", how="left")


def to_night_lists(
    users: DataFrame,
    night: NightLists,
    encoded_columns: list[Column],
    slices: Slices,
    staged: T.StructType,
) -> DataFrame:
    """Return the rows of all lists of users.

    Grain: (user_id, data_date, list, rank). Cost: users x items of the pool forward passes; one shuffle of
    the users, none where they are already spread by user_id, and a sort.

    Args:
        users: features of users as of one data date, with user_cohort, and what `with_user_vectors`,
            `with_own_items` and `with_seen_items` add where lists need it.
        night: what workers make lists by.
        encoded_columns: what its predictors read of users.
        slices: how users are divided.
        staged: columns of `scores_staging`, of which the fingerprint is left out.
    """
    schema = T.StructType([field for field in staged.fields if field.name != "fingerprint"])
    prefixes = (PREFIX, OWN, SEEN)
    encoded_users = slices.spread(users).select(
        "user_id",
        "data_date",
        "user_cohort",
        slices.bucket.alias("bucket"),
        slices.slice.alias("slice"),
        *(name for name in users.columns if name.startswith(prefixes)),
        *encoded_columns,
    )
    lists = to_lists(night, to_arrow_schema(schema))
    return encoded_users.sortWithinPartitions(*RUN, "user_id").mapInArrow(lists, schema)


def seen_days(config: Config) -> int:
    """Return the days of events that lists look back for what users have seen; 0: none."""
    return max(each.seen_days for each in config.lists.values())
