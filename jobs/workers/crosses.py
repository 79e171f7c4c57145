"""Features of crosses for lists: pairs stay out of Spark, each user brings a map of vectors by key.

The pool names the keys that its items have; a user's map holds the raw dense inputs of those with which the
user has an event, by the place of the key. `models/serving/crosses.py` looks them up per item.
"""

from collections.abc import Mapping
from datetime import date

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from core.columns import feature_columns
from core.encoder import Encoder
from core.schema import Config
from features.encoding import encoded
from features.groups import KEY, to_key_features
from features.windows import unknown_defaults
from jobs.workers.vectors import PREFIX
from models.serving.crosses import NO_KEY, Cross

PLACE = "_place"


def crosses_read(encoder: Encoder, config: Config) -> dict[str, Encoder]:
    """Return the crosses that a model reads -> the inputs that are of each."""
    pair, found = encoder.side("pair"), {}
    for group, features in config.features.keyed.items():
        columns = feature_columns(features, group) if features.is_cross else ()
        if own := tuple(d for d in pair.dense if d.column in columns):
            found[group] = Encoder(categorical=(), dense=own)
    return found


def key_columns_read(encoder: Encoder, config: Config) -> list[Column]:
    """Return the key of each cross that a model reads: columns of the pool's items."""
    return [
        F.col(str(config.features.groups[group].key_column)).alias(f"{PREFIX}{group}")
        for group in crosses_read(encoder, config)
    ]


def to_crosses(items: pa.Table, encoder: Encoder, config: Config) -> tuple[list[Cross], dict[str, pa.Array]]:
    """Return the crosses of a pool, and cross -> the keys that its items have, each once, in their places.

    Args:
        items: the pool, with `key_columns_read`.
        encoder: of the model.
        config: its features.
    """
    order = {d.column: place for place, d in enumerate(encoder.side("pair").dense)}
    crosses, keys = [], {}
    for group, inputs in crosses_read(encoder, config).items():
        key = items[f"{PREFIX}{group}"].combine_chunks().dictionary_encode()
        defaults = unknown_defaults(config.features.groups[group], group)
        crosses.append(
            Cross(
                inputs=np.array([order[d.column] for d in inputs.dense]),
                item_key=key.indices.fill_null(NO_KEY).to_numpy(zero_copy_only=False).astype(np.int64),
                defaults=np.array([defaults[d.column] for d in inputs.dense], np.float32),  # None: NaN
            )
        )
        keys[group] = key.dictionary
    return crosses, keys


def with_user_vectors(
    users: DataFrame,
    keys: Mapping[str, pa.Array],
    groups: Mapping[str, DataFrame],
    encoder: Encoder,
    config: Config,
    data_date: date,
) -> DataFrame:
    """Add a map for each cross that a model reads: place of a key -> its raw dense inputs; null for none.

    Grain: as it came. Of a list of values the vector is that of the list, as examples have it.
    Cost: per cross the pairs of users and values of the pool, one shuffle of them to their users; of lists
    two, and a pair counts once for each list of the pool that holds its value.

    Args:
        users: with user_id.
        keys: as `to_crosses` returns them.
        groups: features of further groups as of the data date, as `with_group_features` takes them.
        encoder: of the model.
        config: its features.
        data_date: of the features.
    """
    for group, inputs in crosses_read(encoder, config).items():
        numbered = pa.table({KEY: keys[group], PLACE: pa.array(range(len(keys[group])), pa.int32())})
        places = users.sparkSession.createDataFrame(numbered).withColumn("data_date", F.lit(data_date))
        known = to_key_features(
            places.select(KEY, "data_date"), groups[group], config.features.groups[group], group
        )
        found = known.join(F.broadcast(places), on=[KEY, "data_date"], how="inner")
        entry = F.struct(PLACE, F.array(*encoded(found, inputs)))
        by_user = found.groupBy("user_id").agg(
            F.map_from_entries(F.collect_list(entry)).alias(f"{PREFIX}{group}")
        )
        users = users.join(by_user, on="user_id", how="left")
    return users
