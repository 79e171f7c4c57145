from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.encoder import CategoricalEncoding, DenseEncoding, Encoder
from core.schema import Config
from features import packing
from features.packing import SHARD_BYTES, shards_of, to_blocks

ROWS, BLOCK_ROWS, SHARDS = 100, 8, 4
ENCODER = Encoder(
    categorical=(
        CategoricalEncoding(column="tab", kind="vocabulary", size=4, dim=2, vocabulary=("0", "1", "2")),
        CategoricalEncoding(column="hour", kind="vocabulary", size=2, dim=2, vocabulary=("7",)),
    ),
    dense=(
        DenseEncoding(column="number", transform="identity", mean=0, std=1),
        DenseEncoding(column="user_days", transform="log1p", mean=0, std=1),
        DenseEncoding(column="flag", transform="identity", mean=0, std=1),
    ),
)


def to_rows(spark: SparkSession, rows: int) -> DataFrame:
    """Examples whose every column tells the row's number."""
    number = F.col("id")
    return spark.range(rows).select(
        F.concat(F.lit("event-"), number).alias("event_id"),
        F.lit("2022-05-07").cast("date").alias("data_date"),
        (number % 4).cast("int").alias("tab"),
        F.lit(7).alias("hour"),
        (number / 2).alias("number"),
        F.when(number % 3 > 0, number).alias("user_days"),
        (number % 2 == 0).alias("flag"),
        F.element_at(F.array(F.lit("high"), F.lit("new"), F.lit("low")), (number % 3 + 1).cast("int")).alias(
            "user_cohort"
        ),
        F.when(number % 7 == 0, "new").otherwise("old").alias("item_cohort"),
        (number % 2).cast("double").alias("label_click"),
        F.lit(True).alias("mask_click"),
        F.when(number % 5 > 0, number.cast("double")).alias("label_play"),
        (number % 5 > 0).alias("mask_play"),
        F.lit(1.0).alias("weight"),
    )


@pytest.fixture(scope="module")
def blocks(spark: SparkSession, config: Config) -> list[dict[str, Any]]:
    packed = to_blocks(to_rows(spark, ROWS), ENCODER, config, "set-1", "train")
    return [row.asDict() for row in packed.withColumn("task", F.spark_partition_id()).collect()]


def matrix(block: dict[str, Any], name: str, dtype: str) -> np.ndarray:
    return np.frombuffer(block[name], dtype).reshape(BLOCK_ROWS, -1)


def test_every_shard_has_as_many_blocks_in_order_and_a_task_of_its_own(blocks: list[dict[str, Any]]) -> None:
    numbers, tasks = defaultdict(list), defaultdict(set)
    for block in blocks:
        assert block["block_id"] == f"train-{block['shard']}-{block['block_no']}"
        assert (block["training_set"], block["split"]) == ("set-1", "train")
        numbers[block["shard"]].append(block["block_no"])
        tasks[block["task"]].add(block["shard"])

    most = max(map(len, numbers.values()))
    assert dict(numbers) == {shard: list(range(most)) for shard in range(SHARDS)}
    assert sorted(map(len, tasks.values())) == [1] * SHARDS
    assert any(block["rows"] < BLOCK_ROWS for block in blocks)  # this log does not fill its blocks


def test_a_block_holds_its_rows_as_declared_and_then_padding(blocks: list[dict[str, Any]]) -> None:
    found = defaultdict(list)
    for block in blocks:
        dense, weight = matrix(block, "dense", "<f4"), matrix(block, "weight", "<f4")[:, 0]
        assert weight.tolist() == [1.0] * block["rows"] + [0.0] * (BLOCK_ROWS - block["rows"])
        assert np.isnan(dense[block["rows"] :]).all()
        assert not matrix(block, "mask", "u1")[block["rows"] :].any()
        numbers = (dense[: block["rows"], 0] * 2).astype(int)
        found[block["shard"]] += numbers.tolist()
        for row, number in enumerate(numbers):
            days = np.nan if number % 3 == 0 else number
            label = 0 if number % 5 == 0 else number  # unknown, and outside of the mask
            tab = number % 4 + 1 if number % 4 < 3 else 0
            np.testing.assert_array_equal(dense[row], np.float32([number / 2, days, number % 2 == 0]))
            assert matrix(block, "categorical", "<i4")[row].tolist() == [tab, 1]
            assert matrix(block, "labels", "<f4")[row].tolist() == [number % 2, label]
            assert matrix(block, "mask", "u1")[row].tolist() == [1, number % 5 > 0]
            assert matrix(block, "user_group", "u1")[row].tolist() == [[2, 0, 1][number % 3]]
            assert matrix(block, "item_group", "u1")[row].tolist() == [number % 7 > 0]

    assert sorted(number for numbers in found.values() for number in numbers) == list(range(ROWS))
    assert all(numbers != sorted(numbers) for numbers in found.values())  # the seed decides the order


def test_blocks_do_not_depend_on_how_rows_came(
    spark: SparkSession, config: Config, blocks: list[dict[str, Any]]
) -> None:
    shuffled = to_rows(spark, ROWS).repartition(3, "number").sortWithinPartitions(F.desc("number"))
    batch_rows = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = spark.conf.get(batch_rows)

    spark.conf.set(batch_rows, "5")  # no divisor of a block: blocks are cut across batches
    try:
        again = [row.asDict() for row in to_blocks(shuffled, ENCODER, config, "set-1", "train").collect()]
    finally:
        spark.conf.set(batch_rows, before)

    assert {b["block_id"]: b for b in again} == {
        b["block_id"]: {name: value for name, value in b.items() if name != "task"} for b in blocks
    }


def test_shards_without_rows_are_padded_whole_and_nothing_makes_no_block(
    spark: SparkSession, config: Config
) -> None:
    one = to_blocks(to_rows(spark, 1), ENCODER, config, "set-1", "train").collect()

    assert sorted(block["rows"] for block in one) == [0, 0, 0, 1]
    assert to_blocks(to_rows(spark, 0), ENCODER, config, "set-1", "train").collect() == []


def test_shards_grow_with_rows_to_the_next_multiple() -> None:
    bytes_per_row = 4 * (23 + 3) + 3 + 6  # 23 inputs and 3 labels of 4 bytes, 3 masks, weight, groups
    whole = 4 * SHARD_BYTES // bytes_per_row

    assert [shards_of(rows, 23, 4, 3) for rows in (0, 1, whole, whole + 1, 3 * whole)] == [4, 4, 4, 8, 12]


def test_a_split_that_would_make_large_files_has_more_shards(
    spark: SparkSession, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "SHARD_BYTES", 500)  # of 100 rows with 36 bytes each

    found = to_blocks(to_rows(spark, ROWS), ENCODER, config, "set-1", "train").collect()

    assert {block["shard"] for block in found} == set(range(2 * SHARDS))
    assert sum(block["rows"] for block in found) == ROWS


@pytest.mark.parametrize("column", ["user_cohort", "item_cohort"])
def test_a_cohort_that_the_configuration_does_not_know_is_refused(
    spark: SparkSession, config: Config, column: str
) -> None:
    rows = to_rows(spark, 3).withColumn(column, F.lit("vip"))

    with pytest.raises(PySparkException, match=rf"{column}: vip is none of"):
        to_blocks(rows, ENCODER, config, "set-1", "train").collect()
