"""Labels and sample spaces: what each task is to predict, and on which rows it counts."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from core.schema import Task
from features.expressions import readable


def label(task: Task, rows: DataFrame) -> Column:
    """Return `label_<task>`: the label as double, 0 or 1 for a binary task; null where it is not known.

    Args:
        task: its label, an expression over events.
        rows: the events.
    """
    return _value(task, rows).alias(f"label_{task.name}")


def mask(task: Task, rows: DataFrame) -> Column:
    """Return `mask_<task>`: whether the row is in the task's sample space and its label is known.

    A row where `where` is null, or cannot be read, is outside.
    """
    is_known = _value(task, rows).isNotNull()
    is_inside = F.coalesce(readable(task.where, rows), F.lit(False)) if task.where else F.lit(True)
    return (is_known & is_inside).alias(f"mask_{task.name}")


def _value(task: Task, rows: DataFrame) -> Column:
    """Return the label as double; null where it cannot be read as one, or is not finite."""
    value = readable(task.label, rows).try_cast("double")
    return F.when(F.abs(value) < F.lit(float("inf")), value)  # NaN is larger than infinity
