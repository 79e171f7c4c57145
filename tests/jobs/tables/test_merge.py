"""One MERGE makes the rows of a table those of a frame, and writes only what differs."""

from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tests.jobs.tables.small import DAY, NEXT, NUMBERS, WIDER, numbers, small_store, write_numbers


def test_a_merge_is_one_commit_of_the_rows_that_differ(spark: SparkSession, tmp_path: Path) -> None:
    store = small_store(tmp_path)
    write_numbers(spark, store, (1, 10), (2, 20), (3, 30))
    wanted = numbers(spark, (1, 10), (2, 21)).unionByName(numbers(spark, (2, 22), day=NEXT))

    commit = store.merge("numbers", wanted, {"run_id": "merged"})
    again = store.merge("numbers", wanted, {"run_id": "again"})

    assert commit is not None
    assert (commit.version, commit.rows) == (2, 3)  # changed, gone, new
    assert again is None
    assert sorted((row["id"], row["value"], row["data_date"]) for row in store.rows("numbers")) == [
        (1, 10, DAY),
        (2, 21, DAY),
        (2, 22, NEXT),
    ]
    assert store.newest_metadata("numbers") == {"run_id": "merged"}


def test_a_merge_adds_a_column_that_the_table_lacks(spark: SparkSession, tmp_path: Path) -> None:
    write_numbers(spark, small_store(tmp_path), (1, 10), (2, 20))
    store = small_store(tmp_path, WIDER)
    clicks = F.when(F.col("id") == 2, F.lit(7)).cast("bigint")
    wanted = numbers(spark, (1, 10), (2, 20)).withColumn("clicks", clicks)

    commit = store.merge("numbers", wanted, {})

    assert commit is not None
    assert commit.rows == 1  # null is what the other row has already
    assert {(row["id"], row["value"], row["clicks"]) for row in store.rows("numbers")} == {
        (1, 10, None),
        (2, 20, 7),
    }
    assert [*store.read(spark, "numbers").columns] == [*NUMBERS.columns, "clicks"]


def test_a_merge_adds_a_column_that_is_null_in_every_row(spark: SparkSession, tmp_path: Path) -> None:
    write_numbers(spark, small_store(tmp_path), (1, 10))
    store = small_store(tmp_path, WIDER)

    commit = store.merge(
        "numbers", numbers(spark, (1, 10)).withColumn("clicks", F.lit(None).cast("bigint")), {}
    )

    assert commit is not None
    assert commit.rows == 0
    assert store.schema_difference("numbers").new == {}
