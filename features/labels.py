"""Labels and sample spaces: what each task is to predict, and on which rows it counts."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from core.schema import Task


def label(task: Task) -> Column:
    """`label_<task>`: the label as double, 0 or 1 for a binary task; null where it is not known."""
    return F.expr(task.label).cast("double").alias(f"label_{task.name}")


def mask(task: Task) -> Column:
    """`mask_<task>`: whether the row lies in the task's sample space and its label is known."""
    is_known = F.expr(task.label).isNotNull()
    is_inside = F.coalesce(F.expr(task.where), F.lit(False)) if task.where else F.lit(True)
    return (is_known & is_inside).alias(f"mask_{task.name}")
