"""Which keys have most rows."""

from pyspark.sql import SparkSession

from features.heavy_keys import to_heaviest_keys


def test_the_heaviest_keys_come_first_with_their_share(spark: SparkSession) -> None:
    users = [7] * 5 + [3] * 2 + [None] * 2 + [1]
    rows = spark.createDataFrame([(user,) for user in users], "user_id bigint")

    found = [tuple(row) for row in to_heaviest_keys(rows, "user_id", 3).collect()]

    assert found == [("7", 5, 0.5, 2.0), (None, 2, 0.2, 0.8), ("3", 2, 0.2, 0.8)]
