"""Examples: an event of day D with all that was known at the end of D - 1, and its labels."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from core.columns import context_columns, feature_columns
from core.config_model import EntityName
from core.schema import Cohorts, Config, EntityFeatures, Task
from features.cohorts import cohort_of
from features.labels import label, mask
from features.repeats import counts_among_repeats
from features.windows import unknown_defaults


def to_examples(
    events: DataFrame,
    user_features: DataFrame,
    item_features: DataFrame,
    user_cohorts: DataFrame,
    item_cohorts: DataFrame,
    config: Config,
) -> DataFrame:
    """Join events with the features and cohorts as of the day before.

    Of repeated impressions one counts in tasks, as `examples.repeats` says; the others stay, with masks off.
    An unknown user or item gets the features of one without events, and the cohort of the rules for these.

    Grain: event_id and data_date, the events as they came. As of: data_date - 1; labels are of data_date.
    Cost: four joins of the range's events with dense tables of as many dates; with `examples.repeats` one
    shuffle of the events before.

    Args:
        events: accepted events of data dates first .. last.
        user_features: dense, of first - 1 .. last - 1; the other three tables likewise.
        item_features: see above.
        user_cohorts: see above.
        item_cohorts: see above.
        config: source, features, cohorts, tasks and examples.
    """
    counted = events.withColumn("_counts", counts_among_repeats(config.examples.repeats))
    rows = _with_entity(
        counted, user_features, user_cohorts, config.features.user, config.cohorts.user, "user"
    )
    rows = _with_entity(rows, item_features, item_cohorts, config.features.item, config.cohorts.item, "item")
    return rows.select(
        "event_id",
        "data_date",
        "user_id",
        "item_id",
        "event_time",
        *context_columns(config),
        *feature_columns(config.features.user, "user"),
        *feature_columns(config.features.item, "item"),
        "user_cohort",
        "item_cohort",
        *(column for task in config.tasks for column in (label(task, rows), _mask(task, rows))),
        F.lit(1.0).alias("weight"),
    )


def _mask(task: Task, rows: DataFrame) -> Column:
    return (mask(task, rows) & F.col("_counts")).alias(f"mask_{task.name}")


def _with_entity(
    rows: DataFrame,
    features: DataFrame,
    cohorts: DataFrame,
    declared: EntityFeatures,
    rules: Cohorts,
    entity: EntityName,
) -> DataFrame:
    """Add an entity's features and cohort as of the day before each row's data date."""
    grain = [f"{entity}_id", "data_date"]
    cohort = f"{entity}_cohort"
    defaults = unknown_defaults(declared, entity)
    known = features.select(*grain, *defaults).withColumn("data_date", F.date_add("data_date", 1))
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
