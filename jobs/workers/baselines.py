"""The baselines of promotion, measured on the rows of the candidate."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from core.schema import Config, Task
from features.group_means import popularity, with_group_means
from jobs.workers.evaluation import MetricCell, by_user, measure, metric_columns
from jobs.workers.inference import column_predictor

SMALLEST = 1e-6  # probabilities this close to 0 or 1 have a finite logit


def measure_baselines(examples: DataFrame, means: DataFrame, config: Config) -> list[MetricCell]:
    """Return the metrics of `popularity` and `group_mean` on examples, in every cell.

    Cost: two passes over the examples; before that of `group_mean` a join, and a shuffle by user.

    Args:
        examples: as `with_cohort_axes` arranges them.
        means: `group_means` as of the day before the first example.
        config: its baselines, exposure, tasks and evaluation.
    """
    binary = binary_tasks(config)
    shown = examples.select(*metric_columns(binary), popularity(config).alias("popularity"))
    predict = column_predictor(["popularity"] * len(binary))
    cells = measure(shown, "popularity", predict, binary, config.evaluation)

    scored = to_group_mean_logits(examples, means, config)
    predict = column_predictor([f"z_{task.name}" for task in config.tasks])
    return cells + measure(scored, "group_mean", predict, config.tasks, config.evaluation)


def binary_tasks(config: Config) -> tuple[Task, ...]:
    """Return the tasks that `popularity` makes a prediction for: how often an item is shown is no value."""
    return tuple(task for task in config.tasks if task.kind == "binary")


def to_group_mean_logits(examples: DataFrame, means: DataFrame, config: Config) -> DataFrame:
    """Return the columns that metrics need, and `z_<task>`: the logit of a mean, of a regression the mean.

    All rows of a user are in one partition: the join with the means may have split them.
    """
    scored = by_user(with_group_means(examples, means, config))
    predictions = (
        (_logit(f"p_{task.name}") if task.kind == "binary" else F.col(f"p_{task.name}")).alias(
            f"z_{task.name}"
        )
        for task in config.tasks
    )
    return scored.select(*metric_columns(config.tasks), *predictions)


def _logit(column: str) -> Column:
    p = F.greatest(F.lit(SMALLEST), F.least(F.lit(1 - SMALLEST), F.col(column)))
    return F.log(p / (1 - p))
