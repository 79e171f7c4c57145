"""The baselines of promotion: smoothed means per user cohort and item group, and how often an item is shown.

Items whose attribute is missing, null or an empty string, form no group: they read the mean of the cohort.
"""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from core.schema import Baselines, Config, Task
from core.training_days import wait_days

ANY = ""
"""Group value of the mean of a cohort, and user cohort of the mean of a task: the fallbacks."""
UNKNOWN = {"binary": 0.5, "regression": 0.0}  # of a task without an example
EXACT = "decimal(28,6)"  # sums do not depend on the order of rows


def to_daily_sums(examples: DataFrame, baselines: Baselines, tasks: Sequence[Task]) -> DataFrame:
    """Return the sums of weights and of weighted labels of each day.

    Grain: (data_date, user_cohort, group_value), with an array `tasks` of task, rows and positives.
    Cost: one scan, and one shuffle of (days x cohorts x values) partial rows.

    Args:
        examples: of the days.
        baselines: the attribute.
        tasks: their names.
    """
    value = F.coalesce(F.col(baselines.group).cast("string"), F.lit(ANY)).alias("group_value")
    sums = [
        F.struct(
            F.lit(task.name).alias("task"),
            F.sum(_weight(task).try_cast(EXACT)).alias("rows"),
            F.sum((_weight(task) * F.col(f"label_{task.name}")).try_cast(EXACT)).alias("positives"),
        )
        for task in tasks
    ]
    return examples.groupBy("data_date", "user_cohort", value).agg(F.array(*sums).alias("tasks"))


def to_group_means(
    by_day: DataFrame,
    baselines: Baselines,
    tasks: Sequence[Task],
    first: date,
    last: date,
    window_days: int,
) -> DataFrame:
    """Return the mean label of each task per user cohort and value of one item attribute, over trailing days.

    A mean is smoothed towards that of its cohort, which is smoothed towards that of the task, each with
    `baselines.strength` rows.

    Grain: (data_date, task, user_cohort, group_value); group_value "" is the mean of the cohort, and
    user_cohort "" that of the task. As of: the end of data_date; the last `window_days` days whose labels are
    final then.
    Units: rows and positives are sums of weights, positives of a regression those of the label; rate is the
    mean, of a binary task in [0, 1].
    Cost: reads its input six times, and shuffles (dates x tasks x cohorts x values) rows.

    Args:
        by_day: `to_daily_sums` of the data dates whose labels any date of the result averages, computed
            already; others do not count.
        baselines: the strength.
        tasks: their names and kinds, and when their labels are final.
        first: first data date of the result.
        last: last data date of the result.
        window_days: days of examples that a data date averages.
    """
    wait = wait_days(tasks)
    seen_to = F.least(F.date_add("data_date", wait + window_days - 1), F.lit(last))
    seen_from = F.greatest(F.date_add("data_date", wait), F.lit(first))
    by_date = (
        by_day.where(seen_from <= seen_to)
        .withColumn("data_date", F.explode(F.sequence(seen_from, seen_to)))
        .select("data_date", "user_cohort", "group_value", F.explode("tasks").alias("t"))
        .select("data_date", "user_cohort", "group_value", "t.*")
        .where(F.col("rows") > 0)  # null without a row of the sample space
    )
    keys = ["data_date", "task", "user_cohort", "group_value"]
    by_value = _summed(by_date.where(F.col("group_value") != ANY), keys)
    by_cohort = _summed(by_date.withColumn("group_value", F.lit(ANY)), keys)
    by_task = _summed(by_date.withColumns({"group_value": F.lit(ANY), "user_cohort": F.lit(ANY)}), keys)

    task_rates = by_task.withColumn("rate", F.col("positives") / F.col("rows"))
    strength = F.lit(float(baselines.strength))
    cohort_rates = _smoothed(by_cohort, task_rates, ["data_date", "task"], strength)
    value_rates = _smoothed(by_value, cohort_rates, ["data_date", "task", "user_cohort"], strength)
    return task_rates.unionByName(cohort_rates).unionByName(value_rates)


def with_group_means(rows: DataFrame, means: DataFrame, config: Config) -> DataFrame:
    """Add `p_<task>`: the mean of a row's user cohort and item group.

    Where that is not known it is the mean of the cohort, then of the task; for a task without an example .5,
    and 0 for a regression. Never null.

    Grain: as it came: examples, or pairs of users and items. Rows do not keep their order and partitions.
    Cost: a join with the means, (cohorts x values) rows.

    Args:
        rows: with user_cohort and the attribute `baselines.group`.
        means: `group_means` as of one data date.
        config: its baselines and tasks.
    """
    tasks = {task.name: UNKNOWN[task.kind] for task in config.tasks}
    by_key = means.groupBy("user_cohort", "group_value").agg(
        *(F.max(F.when(F.col("task") == task, F.col("rate"))).alias(f"rate_{task}") for task in tasks)
    )
    value = F.coalesce(F.col(config.baselines.group).cast("string"), F.lit(ANY))
    found = rows.withColumn("_value", value)
    levels = (("value", F.col("user_cohort"), F.col("_value")), ("cohort", F.col("user_cohort"), F.lit(ANY)),
              ("task", F.lit(ANY), F.lit(ANY)))  # fmt: skip
    for level, cohort, group in levels:
        named = by_key.select(
            F.col("user_cohort").alias("_c"),
            F.col("group_value").alias("_g"),
            *(F.col(f"rate_{task}").alias(f"_{level}_{task}") for task in tasks),
        )
        found = found.join(
            named if level == "value" else F.broadcast(named),
            on=(cohort == F.col("_c")) & (group == F.col("_g")),
            how="left",
        ).drop("_c", "_g")
    nearest = {
        f"p_{task}": F.coalesce(*(F.col(f"_{level}_{task}") for level, *_ in levels), F.lit(unknown))
        for task, unknown in tasks.items()
    }
    return found.withColumns(nearest).select(*rows.columns, *nearest)


def popularity(config: Config) -> Column:
    """Return log1p of how often an item was shown in the window of `baselines`: a score for every task."""
    shown = F.col(f"item_{config.exposure}_{config.baselines.window}")
    return F.log1p(F.coalesce(shown, F.lit(0)).cast("double"))


def _weight(task: Task) -> Column:
    return F.when(F.col(f"mask_{task.name}"), F.col("weight"))


def _summed(rows: DataFrame, keys: list[str]) -> DataFrame:
    return rows.groupBy(*keys).agg(
        *(F.sum(name).cast("double").alias(name) for name in ("rows", "positives"))
    )


def _smoothed(rows: DataFrame, coarser: DataFrame, keys: list[str], strength: Column) -> DataFrame:
    prior = coarser.select(*keys, F.col("rate").alias("_prior"))
    rate = (F.col("positives") + F.col("_prior") * strength) / (F.col("rows") + strength)
    return rows.join(prior, on=keys, how="inner").withColumn("rate", rate).select(*rows.columns, "rate")
