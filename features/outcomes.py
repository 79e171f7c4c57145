"""What users did with the lists of the night before: hit rate and recall per task and cohort."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from core.schema import Config, Task
from features.cohorts import with_rollups
from features.labels import label, mask


def to_outcomes(lists: DataFrame, events: DataFrame, config: Config) -> DataFrame:
    """Return hit rate and recall of each binary task, per cohort of the users with a list.

    hit_rate: of users with a positive event, the share with one on an item of their list.
    recall: of positive (user, item) pairs, the share whose item was in the user's list.
    A positive event is inside of the task's sample space and has label 1. Users without a list do not count.

    Grain: (metric, task, cohort); cohorts are "all" and "user:<cohort>", roll-ups included.
    Units: value in [0, 1], null where nobody had a positive event; users with a positive event; events are
    positive (user, item) pairs.
    Cost: one join of the positive events with the lists.

    Args:
        lists: `scores` of one data date, grain (user_id, rank).
        events: of the day after.
        config: its tasks and user cohorts.
    """
    tasks = [task for task in config.tasks if task.kind == "binary"]
    judged = events.select(
        "user_id", "item_id", *(c for t in tasks for c in (label(t, events), mask(t, events)))
    )
    positive_tasks = [
        F.when(F.col(f"mask_{task.name}") & (F.col(f"label_{task.name}") == 1), F.lit(task.name))
        for task in tasks
    ]
    positives = judged.select(
        "user_id", "item_id", F.explode(F.array_compact(F.array(*positive_tasks))).alias("task")
    ).distinct()
    listed = lists.select("user_id", "item_id", F.lit(1).alias("is_listed"))
    of_user = (
        positives.join(listed, on=["user_id", "item_id"], how="left")
        .groupBy("user_id", "task")
        .agg(F.count(F.lit(1)).alias("positive"), F.count("is_listed").alias("found"))
    )
    by_cohort = (
        _cohorts_of_lists(lists, tasks, config)
        .join(of_user, on=["user_id", "task"], how="left")
        .groupBy("task", "cohort")
        .agg(
            F.count("positive").alias("users"),
            F.coalesce(F.sum("positive"), F.lit(0)).alias("events"),
            F.count_if(F.col("found") > 0).alias("hit"),
            F.sum("found").alias("found"),
        )
    )
    metrics = {"hit_rate": ("hit", "users"), "recall": ("found", "events")}
    pairs = F.explode(F.array(*(_metric(name, *parts) for name, parts in metrics.items())))
    return by_cohort.select("task", "cohort", "users", "events", pairs.alias("m")).select(
        "m.metric", "task", "cohort", "m.value", "users", "events"
    )


def _cohorts_of_lists(lists: DataFrame, tasks: list[Task], config: Config) -> DataFrame:
    """Return each user with a list once per task and cohort, whether or not the user has an event."""
    cohorts = with_rollups(lists.where(F.col("rank") == 1), "cohort", config.cohorts.user)
    names = F.concat(
        F.array(F.lit("all")), F.transform("cohort_axis", lambda name: F.concat(F.lit("user:"), name))
    )
    return cohorts.select("user_id", F.explode(names).alias("cohort")).withColumn(
        "task", F.explode(F.lit([task.name for task in tasks]))
    )


def _metric(name: str, part: str, whole: str) -> Column:
    value = F.try_divide(F.col(part).cast("double"), F.col(whole).cast("double"))
    return F.struct(F.lit(name).alias("metric"), value.alias("value"))
