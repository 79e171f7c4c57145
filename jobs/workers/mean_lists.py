"""What workers make lists by while there is no champion: the baseline `group_mean`."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from core.schema import Config
from features.group_means import popularity, with_group_means
from jobs.workers.listing import NightLists, Unit
from jobs.workers.night_items import NightItems, without_items
from jobs.workers.predictors import MeanPredictor

MODEL = "group_mean"


def best_first(config: Config) -> list[Column]:
    """Return the order of equal means: how often an item is shown, then item_id."""
    return [popularity(config).desc(), F.col("item_id").asc()]


def to_mean_lists(items: NightItems, features: DataFrame, means: DataFrame, config: Config) -> NightLists:
    """Return all lists of a night by means of the users' cohort and an attribute of the items.

    Cost: cohorts x items, which come to the driver.

    Args:
        items: of the night, in the order of `best_first`.
        features: features of items.
        means: `group_means` as of the data date.
        config: its baselines, lists, tasks and user cohorts.
    """
    listed = features.join(F.broadcast(items.places(features.sparkSession)), on="item_id", how="inner")
    units = []
    if items.lists:
        units.append(Unit(_predictor(listed, len(items.ids), means, config), items.lists))
    if nothing := without_items(config):
        nowhere = features.sparkSession.createDataFrame(
            [(0, None)], f"place int, {config.baselines.group} string"
        )
        units.append(Unit(_predictor(nowhere, 1, means, config), nothing))
    return NightLists(MODEL, items.ids, tuple(units), tuple(task.name for task in config.listed_tasks))


def _predictor(items: DataFrame, count: int, means: DataFrame, config: Config) -> MeanPredictor:
    """Return the means of each cohort for items in places."""
    tasks = tuple(task.name for task in config.tasks)
    cohorts = F.explode(F.lit(list(config.cohorts.user.names))).alias("user_cohort")
    pairs = with_group_means(items.select("place", config.baselines.group, cohorts), means, config)
    rows = pairs.select("user_cohort", "place", *(f"p_{task}" for task in tasks)).toArrow().to_pylist()
    found = {cohort: np.empty((count, len(tasks))) for cohort in config.cohorts.user.names}
    for row in rows:
        found[row["user_cohort"]][row["place"]] = _values(row, tasks)
    return MeanPredictor(tasks, found)


def _values(row: dict[str, float], tasks: Sequence[str]) -> NDArray[np.float64]:
    return np.array([row[f"p_{task}"] for task in tasks])
