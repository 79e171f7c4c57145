"""Lists by a model: the pool of a night and all users, encoded, through the bundle in Spark workers."""

from collections.abc import Mapping
from datetime import date

import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.types import to_arrow_schema

from core.errors import LamplighterError
from core.paths import name_of
from core.schema import Config
from features.encoding import encoded
from features.groups import with_group_features
from jobs.workers.bundles import to_arrays
from jobs.workers.crosses import key_columns_read, to_crosses
from jobs.workers.listing import PREFIX, RUN, to_lists
from jobs.workers.slices import Slices
from models.serving.bundle import Bundle
from models.serving.scorer import Pool


def to_pool(
    spark: SparkSession,
    items: DataFrame,
    groups: Mapping[str, DataFrame],
    bundle: Bundle,
    config: Config,
    data_date: date,
) -> tuple[Pool, dict[str, pa.Array]]:
    """Return the night's items and the context of lists, encoded, and cross -> keys of the items.

    Bounded by `candidates`.

    Args:
        spark: the session.
        items: features of the pool's items and of their groups, with item_cohort.
        groups: features of further groups as of the data date, of which those of context columns are joined.
        bundle: of the model.
        config: its list_context and features.
        data_date: of the features.

    Raises:
        LamplighterError: there is no item.
    """
    side = bundle.encoder.side("item")
    keys = key_columns_read(bundle.encoder, config)
    columns = items.select("item_id", "item_cohort", *keys, *encoded(items, side))
    table = columns.orderBy("item_id").toArrow()
    crosses, keys_of = to_crosses(table, bundle.encoder, config)
    rows: pd.DataFrame = table.to_pandas()
    if rows.empty:
        raise LamplighterError(f"item_features has no item as of {data_date}; build features first")
    types = bundle.manifest.columns  # as in training: 1 of a double column is not 1 of an int column
    context = spark.createDataFrame(
        [tuple(config.list_context.values())], list(config.list_context)
    ).withColumns({name: F.col(name).cast(types[name]) for name in config.list_context if name in types})
    as_of = context.withColumn("data_date", F.lit(data_date))
    context = with_group_features(as_of, groups, config, "context")
    context_side = bundle.encoder.side("context")
    one_row: pd.DataFrame = context.select(*encoded(context, context_side)).toPandas()
    categorical, dense = to_arrays(one_row, context_side)
    pool = Pool(
        item_ids=rows["item_id"].to_numpy(),
        item_group=bundle.places("item_cohort", rows["item_cohort"].to_numpy()),
        items=to_arrays(rows, side),
        context=(categorical[0], dense[0]),
        crosses=crosses,
    )
    return pool, keys_of


def to_model_lists(
    users: DataFrame, pool: Pool, bundle: Bundle, slices: Slices, config: Config, schema: T.StructType
) -> DataFrame:
    """Return each user's best items, one row per rank.

    Grain: (user_id, data_date, rank). Cost: users x items of the pool forward passes; one shuffle of the
    users, none where they are already spread by user_id, and a sort.

    Args:
        users: features of users as of one data date, with user_cohort and, where the model reads crosses,
            what `with_user_vectors` adds.
        pool: what they are scored against.
        bundle: of the model.
        slices: how users are divided.
        config: its ranking.
        schema: columns of `scores_staging` without the fingerprint.
    """
    encoded_users = slices.spread(users).select(
        "user_id",
        "data_date",
        "user_cohort",
        slices.bucket.alias("bucket"),
        slices.slice.alias("slice"),
        *(name for name in users.columns if name.startswith(PREFIX)),
        *encoded(users, bundle.encoder.side("user")),
    )
    lists = to_lists(
        name_of(bundle.path), pool, config.ranking.weights, config.ranking.top_k, to_arrow_schema(schema)
    )
    return encoded_users.sortWithinPartitions(*RUN, "user_id").mapInArrow(lists, schema)
