"""What workers make lists by when a model serves: its bundle, the encoded items, and each context."""

from collections.abc import Mapping
from datetime import date
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from core.errors import LamplighterError
from core.schema import Config
from features.encoding import encoded
from features.groups import with_group_features
from jobs.workers.bundles import bring_bundle, to_arrays
from jobs.workers.crosses import key_columns_read, to_crosses
from jobs.workers.listing import NightLists, Unit, WorkerList
from jobs.workers.night_items import NightItems, without_items
from jobs.workers.predictors import ModelPredictor
from models.serving.bundle import Bundle
from models.serving.crosses import Cross
from models.serving.scorer import Pool

Encoded = tuple[NDArray[np.int64], NDArray[np.float32]]


def item_columns(items: DataFrame, bundle: Bundle, config: Config) -> list[Column]:
    """Return what a model reads of items: keys of crosses, and encoded inputs."""
    return [*key_columns_read(bundle.encoder, config), *encoded(items, bundle.encoder.side("item"))]


def to_model_lists(
    spark: SparkSession,
    items: NightItems,
    groups: Mapping[str, DataFrame],
    bundle: Bundle,
    config: Config,
    data_date: date,
) -> tuple[NightLists, dict[str, pa.Array]]:
    """Return all lists of a night by a model, and cross -> keys of the items.

    Args:
        spark: the session.
        items: of the night, with `item_columns`.
        groups: features of further groups as of the data date, of which those of context columns are joined.
        bundle: of the model.
        config: its lists and features.
        data_date: of the features.

    Raises:
        LamplighterError: the model has no such task, or tells items apart where a list has none.
    """
    check_tasks(bundle, config)
    units, name = [], bring_bundle(spark.sparkContext, bundle.path)
    rows: pd.DataFrame = items.rows.to_pandas()
    crosses, keys = to_crosses(items.rows, bundle.encoder, config)
    side = bundle.encoder.side("item")
    of_items = to_arrays(rows, side), bundle.places("item_cohort", rows["item_cohort"].to_numpy()), crosses
    nothing: tuple[Encoded, NDArray[np.int64], list[Cross]] = (
        (np.empty((1, 0), np.int64), np.empty((1, 0), np.float32)),
        np.zeros(1, np.int64),
        [],
    )
    for lists, ids, (arrays, cohorts, own) in (
        (items.lists, items.ids, of_items),
        (without_items(config), np.zeros(1, np.int64), nothing),
    ):
        for context, together in _by_context(lists, config):
            encoded_context = _context(spark, dict(context), groups, bundle, config, data_date)
            pool = Pool(ids, cohorts, arrays, encoded_context, own)
            units.append(Unit(ModelPredictor(name, pool, config.scoring.dtype), tuple(together)))
    tasks = tuple(task.name for task in config.listed_tasks)
    return NightLists(bundle.manifest.model_version, items.ids, tuple(units), tasks), keys


def check_tasks(bundle: Bundle, config: Config) -> None:
    """Refuse a model that cannot make one of the lists.

    Raises:
        LamplighterError: with the list, what it needs and what the model has.
    """
    manifest = bundle.manifest
    known = [task.name for task in manifest.tasks]
    if unknown := sorted({task.name for task in config.listed_tasks} - set(known)):
        raise LamplighterError(
            f"lists rank by {unknown}, but the tasks of model {manifest.model_version} are {known}; name "
            "these, or train a model with the others"
        )
    if without_items(config):
        read = [column for side in ("item", "pair") for column in bundle.encoder.side(side).id_columns]
        read += [d.column for side in ("item", "pair") for d in bundle.encoder.side(side).dense]
        facets = bundle.model().network.trunk.cohorts
        read += ["item_cohort"] if len(facets.get("item_cohort", ())) > 1 else []
        if read:
            raise LamplighterError(
                f"lists: ranking is none, but model {manifest.model_version} reads {read} of items; train a "
                "model on inputs of users and context alone"
            )


def _by_context(lists: tuple[WorkerList, ...], config: Config) -> list[tuple[Any, list[WorkerList]]]:
    """Return lists of one context together."""

    def context(each: WorkerList) -> Any:
        return tuple(sorted(config.lists[each.name].context.items()))

    return [(key, [*own]) for key, own in groupby(sorted(lists, key=lambda e: repr(context(e))), context)]


def _context(
    spark: SparkSession,
    values: Mapping[str, int | float | str],
    groups: Mapping[str, DataFrame],
    bundle: Bundle,
    config: Config,
    data_date: date,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the encoded context of a list."""
    types = bundle.manifest.columns  # as in training: 1 of a double column is not 1 of an int column
    row = spark.createDataFrame([tuple(values.values())], list(values)).withColumns(
        {name: F.col(name).cast(types[name]) for name in values if name in types}
    )
    row = with_group_features(row.withColumn("data_date", F.lit(data_date)), groups, config, "context")
    side = bundle.encoder.side("context")
    one_row: pd.DataFrame = row.select(*encoded(row, side)).toPandas()
    categorical, dense = to_arrays(one_row, side)
    return categorical[0], dense[0]
