"""Hold last night's lists against what users then did.

spark-submit jobs/look_back.py --data-date 2022-05-08

The lists as of D - 1 were for use on D. Logged impressions come from another policy than ours, so these
numbers compare nights, not policies. Cost: the date's events joined with as many users' lists.
"""

from datetime import timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from conf.schema import Task
from features.cohorts import with_rollups
from features.labels import label, mask
from jobs.runtime.job import job
from jobs.runtime.run import Run


@job
def look_back(run: Run) -> None:
    """Replace the data date of `outcomes`."""
    run.require_inputs()
    lists = run.read("scores", run.last - timedelta(days=1))
    if lists.isEmpty():
        run.notes.append(f"no lists as of {run.last - timedelta(days=1)} to look back at")
        run.replace("outcomes", run.spark.createDataFrame([], run.catalog["outcomes"].schema))
        return
    events = run.read("events", run.last)
    tasks = [task for task in run.config.tasks if task.kind == "binary"]
    outcomes = reduce(DataFrame.unionByName, [to_outcomes(lists, events, task, run) for task in tasks])
    run.replace("outcomes", run.compute(outcomes))


def to_outcomes(lists: DataFrame, events: DataFrame, task: Task, run: Run) -> DataFrame:
    """Hit rate and recall of one task by cohort of the listed users.

    hit_rate: of users with a positive event, the share with one on an item of their list.
    recall: of positive (user, item) pairs, the share whose item was in the user's list.
    Null where nobody had a positive event. Grain: metric, task, cohort.
    """
    is_positive = (F.col(f"mask_{task.name}")) & (F.col(f"label_{task.name}") == 1)
    positives = (
        events.select("user_id", "item_id", label(task), mask(task))
        .where(is_positive)
        .select("user_id", "item_id")
        .distinct()
    )
    listed = lists.select("user_id", "item_id", F.lit(1).alias("is_listed"))
    cohorts = with_rollups(lists.where(F.col("rank") == 1), "cohort", run.config.cohorts.user)
    of_user = (
        positives.join(listed, on=["user_id", "item_id"], how="left")
        .groupBy("user_id")
        .agg(F.count(F.lit(1)).alias("positive"), F.count("is_listed").alias("found"))
    )
    names = F.concat(
        F.array(F.lit("all")), F.transform("cohort_axis", lambda name: F.concat(F.lit("user:"), name))
    )
    by_cohort = (
        cohorts.select("user_id", F.explode(names).alias("cohort"))
        .join(of_user, on="user_id", how="left")
        .groupBy("cohort")
        .agg(
            F.count("positive").alias("users"),
            F.coalesce(F.sum("positive"), F.lit(0)).alias("events"),
            F.count_if(F.col("found") > 0).alias("hit"),
            F.coalesce(F.sum("found"), F.lit(0)).alias("found"),
        )
    )
    metrics = {"hit_rate": ("hit", "users"), "recall": ("found", "events")}
    pairs = F.explode(F.array(*(_metric(name, *parts) for name, parts in metrics.items())))
    return by_cohort.select("cohort", "users", "events", pairs.alias("m")).select(
        F.lit(run.last).alias("data_date"),
        F.col("m.metric").alias("metric"),
        F.lit(task.name).alias("task"),
        "cohort",
        F.col("m.value").alias("value"),
        "users",
        "events",
    )


def _metric(name: str, part: str, whole: str) -> Column:
    value = F.try_divide(F.col(part).cast("double"), F.col(whole).cast("double"))
    return F.struct(F.lit(name).alias("metric"), value.alias("value"))


if __name__ == "__main__":
    look_back.main()
