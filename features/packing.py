"""Packing: encoded examples as fixed-size blocks of binary columns, made for a fast reader.

Blocks are equal by construction: padding rows of weight 0 fill every shard of a split up to the same
number of whole blocks, so that no rank waits for another. All is a function of event_id and seed.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from core.encoder import Encoder
from core.schema import Config
from features.encoding import encoded
from features.partitions import partition_key

SHARD_BYTES = 100_000_000
"""Of blocks before compression; row groups of Parquet end at 128 MiB."""
_BINARIES = ("categorical", "dense", "labels", "mask", "weight", "user_group", "item_group")
_BLOCK_SCHEMA = "shard int, block_no int, rows int, " + ", ".join(f"{name} binary" for name in _BINARIES)


def to_blocks(
    examples: DataFrame, encoder: Encoder, config: Config, training_set: str, split: str
) -> DataFrame:
    """Pack examples into blocks of `training.block_rows` rows, in an order that the seed decides.

    There are `training.shards` shards, or a multiple of them where files would be larger than SHARD_BYTES.
    Grain: block_id = "<split>-<shard>-<block_no>". Each task of the result holds one shard, in the order of
    block_no: written as it is, a shard becomes a file.
    Units: little-endian, row-major, R = block_rows: categorical int32 (R, C), dense float32 (R, F) with NaN
    for null, labels float32 (R, K), mask uint8 (R, K), weight float32 (R,), 0 for padding, user_group and
    item_group uint8 (R,), indices into `cohorts.user.names` and `cohorts.item.names`. `rows` leaves out
    padding.
    Cost: one count of the rows, one by event_id, one shuffle and sort of encoded rows; a task holds one block
    in Python.

    Args:
        examples: one split of a training set, grain event_id and data_date.
        encoder: fitted on the training split.
        config: its training, tasks and cohorts.
        training_set: name of the set, a column of the result.
        split: "train" or "validation", a column of the result.
    """
    training = config.training
    shards = shards_of(examples.count(), len(encoded(examples, encoder)), training.shards, len(config.tasks))
    rows = _encoded_rows(examples, encoder, config, shards)
    padding = _to_padding(rows, shards, training.block_rows)
    own_file = partition_key(examples.sparkSession, F.col("shard"), shards)
    numbers = [name for name in rows.columns if name not in ("event_id", "data_date", "place")]
    blocks = (
        rows.unionByName(padding)
        .repartition(shards, own_file)
        .sortWithinPartitions("shard", "is_padding", "place", "event_id", "data_date")
        .select(*numbers)
        .mapInArrow(lambda batches: _packed(batches, training.block_rows), _BLOCK_SCHEMA)
    )
    block_id = F.concat_ws("-", F.lit(split), F.col("shard"), F.col("block_no"))
    return blocks.select(
        block_id.alias("block_id"),
        F.lit(training_set).alias("training_set"),
        F.lit(split).alias("split"),
        "shard",
        "block_no",
        "rows",
        *_BINARIES,
    )


def shards_of(rows: int, inputs: int, least: int, tasks: int) -> int:
    """Return how many files a split needs, a multiple of `least`: a reader wants one row group in each.

    Args:
        rows: of the split.
        inputs: numbers of an encoded row.
        least: `training.shards`.
        tasks: whose labels are packed.
    """
    bytes_per_row = 4 * (inputs + tasks) + tasks + 6
    return least * max(1, -(-rows * bytes_per_row // (least * SHARD_BYTES)))


def _encoded_rows(examples: DataFrame, encoder: Encoder, config: Config, shards: int) -> DataFrame:
    """Return examples as flat numbers, with their shard and their place in it."""
    event, seed = F.col("event_id"), F.lit(config.training.seed)
    return examples.select(
        event,
        "data_date",
        F.pmod(F.xxhash64(event, seed), F.lit(shards)).cast("int").alias("shard"),
        F.xxhash64(seed, event).alias("place"),
        F.lit(False).alias("is_padding"),
        *encoded(examples, encoder),
        *(
            F.coalesce(f"label_{t.name}", F.lit(0)).cast("float").alias(f"label_{t.name}")
            for t in config.tasks
        ),
        *(F.col(f"mask_{t.name}").cast("tinyint").alias(f"mask_{t.name}") for t in config.tasks),
        F.col("weight").cast("float").alias("weight"),
        *(
            _place(column, cohorts.names).cast("smallint").alias(column.replace("cohort", "group"))
            for column, cohorts in config.cohorts.by_column.items()
        ),
    )


def _place(column: str, names: tuple[str, ...]) -> Column:
    """Return the index of a row's cohort among the configured ones, from 0."""
    place = F.array_position(F.lit(list(names)), F.col(column))
    unknown = F.raise_error(
        F.concat(
            F.lit(f"examples.{column}: "),
            F.coalesce(column, F.lit("null")),
            F.lit(f" is none of {list(names)}; build examples again with the cohorts of this configuration"),
        )
    )
    return F.when(place > 0, place - 1).otherwise(unknown.cast("bigint"))


def _to_padding(rows: DataFrame, shards: int, block_rows: int) -> DataFrame:
    """Return rows of weight 0 that bring every shard up to as many whole blocks as the fullest one needs."""
    counts = rows.groupBy("shard").count()
    most = counts.agg((F.ceil(F.max("count") / block_rows) * block_rows).alias("most"))
    lacking = F.col("most") - F.coalesce("count", F.lit(0))
    columns = [
        F.lit(None if name.startswith("dense_") else 0).cast(data_type).alias(name)
        for name, data_type in rows.dtypes
        if name not in ("event_id", "data_date", "shard", "place", "is_padding")
    ]
    return (
        rows.sparkSession.range(shards)
        .select(F.col("id").cast("int").alias("shard"))
        .join(counts, on="shard", how="left")
        .crossJoin(most)
        .where(lacking > 0)
        .select(
            F.lit(None).cast("string").alias("event_id"),
            F.lit(None).cast("date").alias("data_date"),
            F.col("shard"),
            F.explode(F.sequence(F.lit(1).cast("bigint"), lacking)).alias("place"),
            F.lit(True).alias("is_padding"),
            *columns,
        )
    )


def _packed(batches: Iterable[pa.RecordBatch], block_rows: int) -> Iterator[pa.RecordBatch]:
    """Turn the sorted rows of one task into its blocks."""
    previous_shard, block_no = None, 0
    for table in _in_blocks(batches, block_rows):
        shard = table["shard"][0].as_py()
        block_no = block_no + 1 if shard == previous_shard else 0
        previous_shard = shard
        is_padding = table["is_padding"].to_numpy()
        yield pa.RecordBatch.from_pydict(
            {
                "shard": pa.array([shard], pa.int32()),
                "block_no": pa.array([block_no], pa.int32()),
                "rows": pa.array([int((~is_padding).sum())], pa.int32()),
                "categorical": _matrix(table, "cat_", "<i4"),
                "dense": _matrix(table, "dense_", "<f4"),
                "labels": _matrix(table, "label_", "<f4"),
                "mask": _matrix(table, "mask_", "u1"),
                "weight": _matrix(table, "weight", "<f4"),
                "user_group": _matrix(table, "user_group", "u1"),
                "item_group": _matrix(table, "item_group", "u1"),
            }
        )


def _in_blocks(batches: Iterable[pa.RecordBatch], block_rows: int) -> Iterator[pa.Table]:
    """Cut a stream of Arrow batches into tables of exactly `block_rows` rows."""
    rest: list[pa.RecordBatch] = []
    for batch in batches:
        rest.append(batch)
        table = pa.Table.from_batches(rest)
        whole = table.num_rows - table.num_rows % block_rows
        for start in range(0, whole, block_rows):
            yield table.slice(start, block_rows)
        rest = table.slice(whole).to_batches()


def _matrix(table: pa.Table, prefix: str, dtype: str) -> pa.Array:
    """Return the columns of one prefix as a binary matrix (rows, columns), row-major; null is NaN."""
    names = [name for name in table.column_names if name.startswith(prefix)]
    matrix = np.empty((table.num_rows, len(names)), dtype=dtype)
    for number, name in enumerate(names):
        matrix[:, number] = table[name].to_numpy()
    return pa.array([matrix.tobytes()], pa.binary())
