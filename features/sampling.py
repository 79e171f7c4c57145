"""Which examples of the training days a model sees: a share of the negatives, each with a larger weight.

A negative that is kept with probability q weighs 1 / q (Horvitz and Thompson, JASA 1952): every sum over
rows, of losses and gradients too, has the expectation that it has with all rows, and a model keeps the base
rates of the log. He et al. (Practical Lessons from Predicting Clicks on Ads at Facebook, ADKDD 2014,
section 6.3) train on the sample without weights and correct predictions afterwards, p / (p + (1 - p) / q);
that is for one binary task, weights are for any number of tasks of any kind.
"""

from collections.abc import Sequence
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from core.schema import Task, Training

_STEPS = 2.0**53  # doubles represent every multiple of 1 / _STEPS in [0, 1)


def counting(examples: DataFrame, tasks: Sequence[Task]) -> DataFrame:
    """Return the rows that count in at least one task; the others add nothing to any loss or metric."""
    return examples.where(reduce(or_, (F.col(f"mask_{task.name}") for task in tasks)))


def with_fewer_negatives(examples: DataFrame, tasks: Sequence[Task], training: Training) -> DataFrame:
    """Keep `training.keep_negatives` of the negatives, and divide their weight by this share.

    Which are kept is a function of event_id and seed alone: the same whatever the parallelism, on any rerun,
    and a smaller share keeps some of those that a larger one keeps.

    Grain: event_id and data_date, a part of the rows. Units: weight, of negatives divided by the share.
    Cost: one narrow pass; none with a share of 1.

    Args:
        examples: of the training days, with weight, `label_<task>` and `mask_<task>`.
        tasks: their names and kinds.
        training: its keep_negatives and seed.
    """
    share, negative = training.keep_negatives, is_negative(tasks)
    if share == 1:
        return examples
    weight = F.when(negative, F.col("weight") / F.lit(share)).otherwise(F.col("weight"))
    return examples.where(~negative | (_place(training.seed) < share)).withColumn("weight", weight)


def is_negative(tasks: Sequence[Task]) -> Column:
    """Return whether a row has no positive label of any binary task in whose sample space it is."""
    positives = [
        F.col(f"mask_{task.name}") & (F.coalesce(f"label_{task.name}", F.lit(0.0)) == 1)
        for task in tasks
        if task.kind == "binary"
    ]
    return ~reduce(or_, positives, F.lit(False))


def _place(seed: int) -> Column:
    """Return the place of an event in [0, 1): uniform, and independent of its shard and place in blocks."""
    number = F.xxhash64(F.lit("keep_negatives"), F.lit(seed), "event_id")
    return F.shiftrightunsigned(number, 11) / F.lit(_STEPS)
