"""The number of users in a cell: those with a positive, and those with a negative."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.schema import Task


def to_class_users(examples: DataFrame, tasks: Sequence[Task]) -> DataFrame:
    """Count the users of each user cohort that have at least one row of a class, per binary task.

    Grain: (task, user_cohort). Units: users; a user with rows of both classes counts in both.
    Cost: one shuffle of the examples by user.

    Args:
        examples: with user_id, user_cohort, label_<task> and mask_<task>.
        tasks: those that are not binary are left out.
    """
    binary = [task.name for task in tasks if task.kind == "binary"]
    classes = {"positive_users": 1.0, "negative_users": 0.0}

    def has(task: str, value: float) -> str:
        return f"max(mask_{task} AND label_{task} = {value})"

    by_user = examples.groupBy("user_cohort", "user_id").agg(
        *(
            F.expr(has(task, value)).alias(f"{name}_{task}")
            for task in binary
            for name, value in classes.items()
        )
    )
    counts = by_user.groupBy("user_cohort").agg(
        *(F.count_if(f"{name}_{task}").alias(f"{name}_{task}") for task in binary for name in classes)
    )
    rows = F.array(
        *(
            F.struct(F.lit(task).alias("task"), *(F.col(f"{name}_{task}").alias(name) for name in classes))
            for task in binary
        )
    )
    return counts.select("user_cohort", F.explode(rows).alias("of_task")).select(
        "of_task.task", "user_cohort", *(f"of_task.{name}" for name in classes)
    )
