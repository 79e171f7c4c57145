"""How many buckets and slices users are divided into, and that a slice of a bucket is a partition."""

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.workers.slices import Slices


@pytest.mark.parametrize(
    ("users", "expected"),
    [
        (0, Slices(1, 8)),
        (27_285, Slices(1, 8)),
        (50_000, Slices(1, 8)),
        (50_001, Slices(2, 8)),
        (800_000, Slices(16, 8)),
        (1_000_000, Slices(16, 10)),
        (100_000_000, Slices(16, 1000)),
    ],
)
def test_buckets_grow_with_users_to_sixteen_and_slices_without_end(users: int, expected: Slices) -> None:
    assert Slices.of(users) == expected


@pytest.mark.parametrize("slices", [Slices(1, 4), Slices(3, 4), Slices(4, 8)])
def test_each_slice_of_a_bucket_is_a_partition_and_none_is_empty(spark: SparkSession, slices: Slices) -> None:
    users = spark.range(500).withColumnRenamed("id", "user_id")

    found = [
        slices.spread(slices.of_bucket(users, bucket))
        .withColumns({"partition": F.spark_partition_id(), "slice": slices.slice, "bucket": slices.bucket})
        .collect()
        for bucket in range(slices.buckets)
    ]

    assert sum(map(len, found)) == 500
    for bucket, rows in enumerate(found):
        assert {row["bucket"] for row in rows} == {bucket}
        assert all(row["slice"] % slices.buckets == bucket for row in rows)
        pairs = {(row["partition"], row["slice"]) for row in rows}
        assert sorted(partition for partition, _ in pairs) == list(range(slices.per_bucket))
    assert Slices(1, 4).of_bucket(users, 0) is users
