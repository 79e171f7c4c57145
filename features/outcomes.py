"""What users did with the lists of the night before: hit rate and recalls per list, task and cohort."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from core.schema import Config, Task
from features.cohorts import with_rollups
from features.labels import label, mask


def to_outcomes(
    lists: DataFrame, pools: DataFrame, user_pools: DataFrame | None, events: DataFrame, config: Config
) -> DataFrame:
    """Return hit rate and recalls of each list of items and binary task, per cohort of the users with a list.

    hit_rate: of users with a positive event, the share with one on an item of their list.
    recall: of positive (user, item) pairs, the share whose item was in the user's list.
    pool_recall: likewise in the pool that the user was scored against, seen items included: no ranking can
    have a higher recall.
    A positive event is inside of the task's sample space and has label 1. Users without a list do not count.

    Grain: (list, metric, task, cohort); cohorts are "all" and "user:<cohort>", roll-ups included.
    Units: value in [0, 1], null where nobody had a positive event; users with a positive event; events are
    positive (user, item) pairs.
    Cost: one join of the positive events with the lists, and one with the pools.

    Args:
        lists: `scores` of one data date, grain (list, user_id, rank).
        pools: `pools` of that data date.
        user_pools: `user_pools` of that data date; None: no list has items for single users.
        events: of the day after.
        config: its lists, tasks and user cohorts.
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
    with_items = [name for name, each in config.lists.items() if each.has_items]
    lists = lists.where(F.col("list").isin(with_items))
    users = lists.where(F.col("rank") == 1).select("list", "user_id", F.col("cohort").alias("user_cohort"))
    listed = lists.select("list", "user_id", "item_id", F.lit(1).alias("is_listed"))
    offered = pools.select("list", "user_cohort", "item_id", F.lit(1).alias("is_in_pool"))
    asked = (
        positives.join(users, on="user_id", how="inner")
        .join(listed, on=["list", "user_id", "item_id"], how="left")
        .join(offered, on=["list", "user_cohort", "item_id"], how="left")
    )
    if user_pools is not None:
        own = user_pools.select("list", "user_id", "item_id", F.lit(1).alias("is_own"))
        asked = asked.join(own, on=["list", "user_id", "item_id"], how="left").withColumn(
            "is_in_pool", F.coalesce("is_in_pool", "is_own")
        )
    of_user = asked.groupBy("list", "user_id", "task").agg(
        F.count(F.lit(1)).alias("positive"),
        F.count("is_listed").alias("found"),
        F.count("is_in_pool").alias("offered"),
    )
    by_cohort = (
        _cohorts_of_lists(lists, tasks, config)
        .join(of_user, on=["list", "user_id", "task"], how="left")
        .groupBy("list", "task", "cohort")
        .agg(
            F.count("positive").alias("users"),
            F.coalesce(F.sum("positive"), F.lit(0)).alias("events"),
            F.count_if(F.col("found") > 0).alias("hit"),
            F.sum("found").alias("found"),
            F.sum("offered").alias("offered"),
        )
    )
    metrics = {"hit_rate": ("hit", "users"), "recall": ("found", "events")}
    metrics["pool_recall"] = ("offered", "events")
    pairs = F.explode(F.array(*(_metric(name, *parts) for name, parts in metrics.items())))
    return by_cohort.select("list", "task", "cohort", "users", "events", pairs.alias("m")).select(
        "list", "m.metric", "task", "cohort", "m.value", "users", "events"
    )


def _cohorts_of_lists(lists: DataFrame, tasks: list[Task], config: Config) -> DataFrame:
    """Return each user of each list once per task and cohort, whether or not the user has an event."""
    cohorts = with_rollups(lists.where(F.col("rank") == 1), "cohort", config.cohorts.user)
    names = F.concat(
        F.array(F.lit("all")), F.transform("cohort_axis", lambda name: F.concat(F.lit("user:"), name))
    )
    return cohorts.select("list", "user_id", F.explode(names).alias("cohort")).withColumn(
        "task", F.explode(F.lit([task.name for task in tasks]))
    )


def _metric(name: str, part: str, whole: str) -> Column:
    value = F.try_divide(F.col(part).cast("double"), F.col(whole).cast("double"))
    return F.struct(F.lit(name).alias("metric"), value.alias("value"))
