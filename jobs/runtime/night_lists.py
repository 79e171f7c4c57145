"""What a night's lists are made by: items of the pools, a model or means, and what users bring."""

from collections.abc import Callable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.encoding import encoded
from features.groups import with_group_features
from jobs.runtime.cohort_features import read_last_events, read_with_cohort
from jobs.runtime.group_tables import read_keyed_groups
from jobs.runtime.reads import USER_POOLS
from jobs.runtime.run import Run
from jobs.workers.crosses import with_user_vectors
from jobs.workers.listing import NightLists
from jobs.workers.mean_lists import best_first, to_mean_lists
from jobs.workers.model_lists import item_columns, to_model_lists
from jobs.workers.night_items import NightItems, to_night_items
from jobs.workers.scoring import seen_days, with_own_items, with_seen_items
from jobs.workers.slices import Slices
from models.serving.bundle import check_fits, read_bundle

Prepared = Callable[[DataFrame, int], tuple[DataFrame, list[Column]]]
"""Features of the users of a bucket, and its number -> with crosses, and the columns that a model reads."""


def lists_by(run: Run, version: str | None, slices: Slices) -> tuple[NightItems, NightLists, Prepared]:
    """Return items and lists by a model, or by means where there is no champion.

    A bundle that does not fit the feature tables or the cohorts is refused.
    """
    groups = read_keyed_groups(run, run.data_date)
    features = with_group_features(read_with_cohort(run, "item"), groups, run.config, "item")
    if version is None:
        items = _night_items(run, features, [], best_first(run.config))
        means = run.read("group_means", run.data_date)
        return items, to_mean_lists(items, features, means, run.config), lambda users, _: (users, [])
    bundle = read_bundle(run.catalog.bundle(version))
    check_fits(bundle, run.catalog.input_types(), run.config.cohorts.by_column)
    items = _night_items(run, features, item_columns(features, bundle, run.config), [F.col("item_id")])
    night, keys = to_model_lists(run.spark, items, groups, bundle, run.config, run.data_date)

    def prepared(users: DataFrame, bucket: int) -> tuple[DataFrame, list[Column]]:
        users = with_group_features(users, groups, run.config, "user")
        crosses = {group: slices.of_bucket(groups[group], bucket) for group in keys}
        users = with_user_vectors(users, keys, crosses, bundle.encoder, run.config, run.data_date)
        return users, encoded(users, bundle.encoder.side("user"))

    return items, night, prepared


def _night_items(run: Run, features: DataFrame, columns: list[Column], order: list[Column]) -> NightItems:
    """Return the items of the night's pools."""
    own = run.read(USER_POOLS, run.data_date) if run.config.has_user_pools else None
    pools = run.read("pools", run.data_date)
    items = to_night_items(features, pools, own, columns, order, run.config, run.data_date)
    run.note(f"{len(items.ids)} items")
    return items


def with_items_of_users(
    run: Run, users: DataFrame, items: NightItems, slices: Slices, bucket: int
) -> DataFrame:
    """Add users' own items and those that they have seen, where lists ask for them."""
    if run.config.has_user_pools:
        own = run.read(USER_POOLS, run.data_date)
        users = with_own_items(users, slices.of_bucket(own, bucket), items)
    if days := seen_days(run.config):
        events = slices.of_bucket(read_last_events(run, days), bucket)
        users = with_seen_items(users, events, items, run.data_date)
    return users
