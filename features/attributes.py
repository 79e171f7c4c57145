"""Attributes of users and items as of a data date."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def with_attributes(rows: DataFrame, entities: DataFrame, attributes: Sequence[str], key: str) -> DataFrame:
    """Add the attributes of users or items that are valid on each row's data date; null where none are.

    Grain: as it came. Cost: a join with the entities.

    Args:
        rows: with the key and data_date.
        entities: `users` or `items`.
        attributes: which of them.
        key: user_id or item_id.
    """
    described = entities.select(F.col(key).alias("described_id"), "valid_from", "valid_to", *attributes)
    is_valid = (F.col("valid_from") <= F.col("data_date")) & (
        F.col("valid_to").isNull() | (F.col("data_date") < F.col("valid_to"))
    )
    is_its_own = (F.col(key) == F.col("described_id")) & is_valid
    return rows.join(described, on=is_its_own, how="left").drop("described_id", "valid_from", "valid_to")
