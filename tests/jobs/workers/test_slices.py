"""How many buckets and slices users are divided into, and that a slice is a partition."""

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


def test_each_slice_is_a_partition_and_lies_in_one_bucket(spark: SparkSession) -> None:
    slices = Slices(3, 4)
    users = spark.range(500).withColumnRenamed("id", "user_id")

    spread = slices.spread(users).withColumns(
        {"partition": F.spark_partition_id(), "slice": slices.slice, "bucket": slices.bucket}
    )
    rows = spread.collect()

    assert {row["partition"] for row in rows} == set(range(12))
    assert all(row["partition"] == row["slice"] for row in rows)
    assert all(row["bucket"] == row["slice"] % 3 for row in rows)
    parts = [slices.of_bucket(users, bucket).count() for bucket in range(3)]
    assert (sum(parts), min(parts) > 100) == (500, True)
    assert Slices(1, 4).of_bucket(users, 0) is users
