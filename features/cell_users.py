"""The number of users in a cell: all of them, those with a positive, and those with a negative."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from core.schema import Task


def to_cell_users(examples: DataFrame, tasks: Sequence[Task]) -> DataFrame:
    """Count the users of each user cohort that have at least one row of a task, and of each of its classes.

    Grain: (task, user_cohort). Units: users; a user with rows of both classes counts in both.
    positive_users and negative_users are null for a regression, which has no classes.
    Cost: one shuffle of the examples by user.

    Args:
        examples: with user_id, user_cohort, label_<task> and mask_<task>.
        tasks: name and kind.
    """
    by_user = examples.groupBy("user_cohort", "user_id").agg(
        *(F.max(has.cast("boolean")).alias(name) for task in tasks for name, has in _has(task).items())
    )
    counts = by_user.groupBy("user_cohort").agg(
        *(F.count_if(F.col(name)).alias(name) for task in tasks for name in _has(task))
    )
    rows = [
        F.struct(F.lit(task.name).alias("task"), *(_count(task, what).alias(what) for what in COUNTS))
        for task in tasks
    ]
    return counts.select("user_cohort", F.explode(F.array(*rows)).alias("of_task")).select(
        "of_task.task", "user_cohort", *(f"of_task.{what}" for what in COUNTS)
    )


COUNTS = ("users", "positive_users", "negative_users")


def _has(task: Task) -> dict[str, Column]:
    """Return column -> whether a row counts in it."""
    is_inside, label = F.col(f"mask_{task.name}"), F.col(f"label_{task.name}")
    found = {f"users_{task.name}": is_inside}
    if task.kind == "binary":
        found[f"positive_users_{task.name}"] = is_inside & (label == 1)
        found[f"negative_users_{task.name}"] = is_inside & (label == 0)
    return found


def _count(task: Task, what: str) -> Column:
    name = f"{what}_{task.name}"
    return F.col(name) if name in _has(task) else F.lit(None).cast("bigint")
