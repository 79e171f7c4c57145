"""Lists by the baseline `group_mean`: what is served while there is no champion."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from core.schema import Config
from features.group_means import to_group_lists
from jobs.workers.slices import Slices


def to_baseline_lists(
    users: DataFrame,
    pool: DataFrame,
    means: DataFrame,
    slices: Slices,
    config: Config,
    schema: T.StructType,
) -> DataFrame:
    """Return each user's list by `group_mean`, in the columns of `scores_staging` without the fingerprint."""
    lists = to_group_lists(users, pool, means, config)
    made = lists.withColumns({"bucket": slices.bucket, "model_version": F.lit("group_mean")})
    return made.select(*(F.col(field.name).cast(field.dataType) for field in schema.fields))
