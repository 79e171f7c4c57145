"""The baselines of promotion, measured on the rows of the candidate."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from core.schema import Config
from features.group_means import popularity, with_group_means
from jobs.workers.evaluation import MetricCell, measure, metric_columns
from jobs.workers.inference import column_predictor

SMALLEST = 1e-6  # probabilities this close to 0 or 1 have a finite logit


def measure_baselines(examples: DataFrame, means: DataFrame, config: Config) -> list[MetricCell]:
    """Return the metrics of `popularity` and `group_mean` on examples, in every cell.

    Args:
        examples: as `with_cohort_axes` arranges them.
        means: `group_means` as of the day before the first example.
        config: its baselines, exposure, candidates.window, tasks and evaluation.
    """
    tasks = config.tasks
    binary = tuple(task for task in tasks if task.kind == "binary")
    shown = examples.select(*metric_columns(binary), popularity(config).alias("popularity"))
    cells = measure(
        shown, "popularity", column_predictor(["popularity"] * len(binary)), binary, config.evaluation
    )
    scored = with_group_means(examples, means, config)
    columns = [
        (_logit(f"p_{task.name}") if task.kind == "binary" else F.col(f"p_{task.name}")).alias(
            f"z_{task.name}"
        )
        for task in tasks
    ]
    predict = column_predictor([f"z_{task.name}" for task in tasks])
    rows = scored.select(*metric_columns(tasks), *columns)
    return cells + measure(rows, "group_mean", predict, tasks, config.evaluation)


def _logit(column: str) -> Column:
    p = F.greatest(F.lit(SMALLEST), F.least(F.lit(1 - SMALLEST), F.col(column)))
    return F.log(p / (1 - p))
