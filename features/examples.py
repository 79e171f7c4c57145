"""Examples: an event of day D with all that was known at the end of D - 1, and its labels."""

from collections.abc import Mapping
from types import MappingProxyType

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from core.columns import context_columns, feature_columns, group_side
from core.config_model import EntityName
from core.schema import Config, Task
from features.cohorts import cohort_of
from features.groups import with_group_features
from features.labels import label, mask
from features.repeats import counts_among_repeats
from features.windows import unknown_defaults

NO_GROUPS: Mapping[str, DataFrame] = MappingProxyType({})


def to_examples(
    events: DataFrame,
    user_features: DataFrame,
    item_features: DataFrame,
    user_cohorts: DataFrame,
    item_cohorts: DataFrame,
    groups: Mapping[str, DataFrame],
    config: Config,
) -> DataFrame:
    """Join events with the features and cohorts as of the day before.

    Of repeated impressions one counts in tasks, as `examples.repeats` says; the others stay, with masks off.
    An unknown user or item gets the features of one without events, and the cohort of the rules for these.
    The features of a group are those of the key that the user or item had at the end of the day before.

    Grain: event_id and data_date, the events as they came. As of: data_date - 1; labels are of data_date.
    Cost: four joins of the range's events with dense tables of as many dates, and for each group of further
    keys a join of one of these tables with the group's; with `examples.repeats` one shuffle of the events.

    Args:
        events: accepted events of data dates first .. last.
        user_features: dense, of first - 1 .. last - 1; the other three tables likewise.
        item_features: see above.
        user_cohorts: see above.
        item_cohorts: see above.
        groups: features of further groups, of the same dates, as `with_group_features` takes them.
        config: source, features, cohorts, tasks and examples.
    """
    counted = events.withColumn("_counts", counts_among_repeats(config.examples.repeats))
    rows = with_context(counted, groups, config)
    rows = with_entity(rows, user_features, user_cohorts, config, "user", groups)
    rows = with_entity(rows, item_features, item_cohorts, config, "item", groups)
    return rows.select(
        "event_id",
        "data_date",
        "user_id",
        "item_id",
        "event_time",
        *context_columns(config),
        *feature_columns(config.features.user, "user"),
        *feature_columns(config.features.item, "item"),
        *(column for group, each in config.features.keyed.items() for column in feature_columns(each, group)),
        "user_cohort",
        "item_cohort",
        *(column for task in config.tasks for column in (label(task, rows), _mask(task, rows))),
        F.lit(1.0).alias("weight"),
    )


def with_context(rows: DataFrame, groups: Mapping[str, DataFrame], config: Config) -> DataFrame:
    """Add the features of groups whose key is a context column, as of the day before each row's data date.

    Grain: as the rows came. Cost: a join with the keys of each such group.
    """
    if "context" not in {group_side(config, group) for group in groups}:
        return rows
    as_of = rows.withColumn("data_date", F.date_sub("data_date", 1))
    rows = with_group_features(as_of, groups, config, "context")
    return rows.withColumn("data_date", F.date_add("data_date", 1))


def _mask(task: Task, rows: DataFrame) -> Column:
    return (mask(task, rows) & F.col("_counts")).alias(f"mask_{task.name}")


def with_entity(
    rows: DataFrame,
    features: DataFrame,
    cohorts: DataFrame,
    config: Config,
    entity: EntityName,
    groups: Mapping[str, DataFrame] = NO_GROUPS,
) -> DataFrame:
    """Add an entity's features and cohort as of the day before each row's data date, and whether it is known.

    Examples and the rows of a spine get them from here. A key that is not known, or null, has the features of
    one without events and the cohort of the rules for these; `is_known_column` is null for it, else true.

    Grain: as the rows came. Cost: two joins with dense tables.

    Args:
        rows: with <entity>_id and data_date.
        features: `<entity>_features` as of the days before.
        cohorts: `<entity>_cohorts` as of the days before.
        config: its features and cohorts.
        entity: "user" or "item".
        groups: features of further groups as of the days before; those on the entity's side are added.
    """
    grain = [f"{entity}_id", "data_date"]
    cohort, rules = f"{entity}_cohort", getattr(config.cohorts, entity)
    defaults = unknown_defaults(config.features.groups[entity], entity)
    if groups:
        features = with_group_features(features, groups, config, entity)
        for group in groups:
            if group_side(config, group) == entity:
                defaults |= unknown_defaults(config.features.groups[group], group)
    known = features.select(
        f"{entity}_id",
        F.date_add("data_date", 1).alias("data_date"),
        *defaults,
        F.lit(True).alias(is_known_column(entity)),
    )
    labelled = cohorts.select(
        f"{entity}_id", F.date_add("data_date", 1).alias("data_date"), F.col("cohort").alias(cohort)
    )
    types = dict(features.dtypes)
    filled = {
        column: F.coalesce(column, F.lit(value).cast(types[column]))
        for column, value in defaults.items()
        if value is not None  # of a known key these are never null, so only the unknown change
    }
    joined = rows.join(known, on=grain, how="left").withColumns(filled).join(labelled, on=grain, how="left")
    return joined.withColumn(cohort, F.coalesce(F.col(cohort), cohort_of(rules, joined)))


def is_known_column(entity: EntityName) -> str:
    """Return the column of `with_entity` that says whether the key is known, a name that none can declare."""
    return f"_{entity}_is_known"
