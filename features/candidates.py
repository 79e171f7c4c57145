"""Candidates: the items that every user is scored against."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.errors import ConfigError
from core.schema import Candidates


def to_item_pool(item_features: DataFrame, candidates: Candidates, exposure: str) -> DataFrame:
    """Return the most shown items, and beside them the most recently first seen ones.

    Grain: item_id, most_shown + newest rows where there are as many seen items; ties by item_id.
    As of: the one data date of `item_features`.
    Cost: items, of which only the pool is sorted.

    Args:
        item_features: `item_features` of one data date.
        candidates: how many of each, and the window that impressions are counted in.
        exposure: the count aggregate that says how often an item was shown.

    Raises:
        ConfigError: it is not counted in this window.
    """
    shown = f"item_{exposure}_{candidates.window}"
    if shown not in item_features.columns:
        raise ConfigError(
            f"candidates.window is {candidates.window}, but item features have no {shown}; "
            f"declare aggregate {exposure} of items over this window"
        )
    first_seen = F.col("item_first_event_time_all")
    most_shown = (
        item_features.orderBy(F.col(shown).desc(), F.col("item_id").asc())
        .limit(candidates.most_shown)
        .select("item_id")
    )
    newest = (
        item_features.where(first_seen.isNotNull())
        .join(most_shown, on="item_id", how="left_anti")
        .orderBy(first_seen.desc(), F.col("item_id").asc())
        .limit(candidates.newest)
        .select("item_id")
    )
    return most_shown.unionByName(newest)
