"""What the scorer reads of a user and an item is what an example of the next day holds, to the last bit."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.columns import feature_columns
from core.encoder import DenseEncoding, Encoder
from core.schema import Config
from features.encoding import encoded
from jobs.workers.crosses import key_columns_read, to_crosses, with_user_vectors
from jobs.workers.vectors import PREFIX, vectors_of
from models.serving.crosses import to_pair_inputs
from tests.features.crossed import GROUPS, TAGS, config_with_crosses, some_events
from tests.features.small import EVER, ITEMS, USERS, Event, Tables, build, to_frame

DAY = date(2022, 5, 3)


@pytest.fixture(scope="module")
def crossed() -> Config:
    return config_with_crosses()


@pytest.fixture(scope="module")
def tables(spark: SparkSession, crossed: Config) -> Tables:
    """User 4 is known by events alone, user 5 has none; every pair of these and items has an example."""
    pairs = [Event(user=u, item=i, day=DAY.day + 1, number=99) for u in range(1, 6) for i in range(1, 7)]
    users = spark.createDataFrame([(u, EVER, None, "a", 20) for u in (1, 2, 3, 5)], USERS)
    items = spark.createDataFrame([(i, EVER, None, tag) for i, tag in TAGS.items()], ITEMS)
    log = [*some_events(3, [1, 2, 3]), *pairs]
    return build(to_frame(spark, log), users, items, crossed, DAY, DAY)


def encoder_of(config: Config) -> Encoder:
    """All features of both crosses, one of the one after one of the other."""
    columns = [feature_columns(config.features.groups[group], group) for group in GROUPS]
    dense = [
        DenseEncoding(column=column, side="pair", transform="identity", mean=0.0, std=1.0)
        for both in zip(*columns, strict=True)
        for column in both
    ]
    item = DenseEncoding(column="item_impression_count_3d", transform="identity", mean=0.0, std=1.0)
    return Encoder(categorical=(), dense=(item, *dense))


@pytest.mark.slow
def test_the_scorer_and_an_example_read_the_same_vector(
    spark: SparkSession, crossed: Config, tables: Tables
) -> None:
    encoder = encoder_of(crossed)
    pool = tables.item_features.where(F.col("item_id") <= 6).select(
        "item_id", *key_columns_read(encoder, crossed)
    )
    items = pool.orderBy("item_id").toArrow()
    users = tables.user_features.select("user_id")

    crosses, keys = to_crosses(items, encoder, crossed)
    mapped = with_user_vectors(users, keys, tables.groups, encoder, crossed, DAY).orderBy("user_id").toArrow()
    vectors = [
        vectors_of(mapped[f"{PREFIX}{group}"].combine_chunks(), len(cross.inputs))
        for group, cross in zip(GROUPS, crosses, strict=True)
    ]
    pairs = to_pair_inputs(crosses, vectors, 0, len(mapped), len(items))

    assert mapped["user_id"].to_pylist() == [1, 2, 3, 4, 5]
    found = {
        (user, item): pairs[u, i]
        for u, user in enumerate(mapped["user_id"].to_pylist())
        for i, item in enumerate(items["item_id"].to_pylist())
    }
    read = read_by_examples(tables.examples, encoder.side("pair"))
    assert {*found} <= {*read}
    for pair, vector in found.items():
        np.testing.assert_array_equal(vector, read[pair])
    with_events = [pair for pair, vector in found.items() if np.nan_to_num(vector).any()]
    assert len(found) > len(with_events) > 10


def read_by_examples(examples: DataFrame, pair: Encoder) -> dict[tuple[int, int], np.ndarray]:
    rows = examples.select("user_id", "item_id", *encoded(examples, pair)).collect()
    return {(row[0], row[1]): np.array(row[2:], np.float32) for row in rows}


def test_maps_of_users_become_vectors_and_no_map_is_no_vector() -> None:
    kind = pa.map_(pa.int32(), pa.list_(pa.float32()))
    maps = pa.array([None, [(2, [1.0, None]), (0, [3.0, 4.0])], [], [(1, [5.0, 6.0])]], kind)

    vectors = vectors_of(maps[1:], 2)

    assert vectors.owner.tolist() == [0, 0, 2]
    assert vectors.key.tolist() == [2, 0, 1]
    np.testing.assert_array_equal(vectors.values, np.array([[1, np.nan], [3, 4], [5, 6]], np.float32))
    assert vectors_of(maps[:1], 2).values.shape == (0, 2)
