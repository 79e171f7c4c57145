"""Lists by the baseline `group_mean`: what is served while there is no champion."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from core.schema import Config
from features.group_means import to_group_lists


def to_baseline_lists(
    users: DataFrame, pool: DataFrame, means: DataFrame, config: Config, schema: T.StructType
) -> DataFrame:
    """Return each user's list by `group_mean`, in the columns of `scores_staging` without the fingerprint."""
    lists = to_group_lists(users, pool, means, config)
    bucket = F.pmod(F.xxhash64("user_id"), F.lit(config.ranking.buckets)).cast("int")
    made = lists.withColumns({"bucket": bucket, "model_version": F.lit("group_mean")})
    return made.select(*(F.col(field.name).cast(field.dataType) for field in schema.fields))
