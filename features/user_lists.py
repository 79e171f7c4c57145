"""Lists as readers take them: one row per list, not one per rank."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

PROBABILITY = "p_"


def to_user_lists(scores: DataFrame, keys: Sequence[str]) -> DataFrame:
    """Return one row per list, its arrays in the order of the ranks.

    Columns: the keys; items, scores, placement_probabilities; probabilities, a struct with an array per task;
    cohort, data_date, model_version. Grain: the keys. Cost: one shuffle of users x K rows.

    Args:
        scores: rows of `current_scores`.
        keys: what identifies a list: user_id and list.
    """
    tasks = [name for name in scores.columns if name.startswith(PROBABILITY)]
    entry = F.struct("rank", "item_id", "score", "placement_probability", *tasks)
    of_list = ("cohort", "data_date", "model_version")  # the same in all rows of a list
    lists = scores.groupBy(*keys).agg(
        F.sort_array(F.collect_list(entry)).alias("entries"), *(F.min(name).alias(name) for name in of_list)
    )
    probabilities = [F.col(f"entries.{name}").alias(name.removeprefix(PROBABILITY)) for name in tasks]
    return lists.select(
        *keys,
        F.col("entries.item_id").alias("items"),
        F.col("entries.score").alias("scores"),
        F.col("entries.placement_probability").alias("placement_probabilities"),
        F.struct(*probabilities).alias("probabilities"),
        *of_list,
    )
