"""Shuffles of large data have more partitions, those of small data one per core."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.tables import partitions
from jobs.tables.partitions import LEAST, SETTING, few_files, fit_partitions, partitions_of

pytestmark = pytest.mark.spark


@pytest.fixture
def session(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Iterator[SparkSession]:
    """A session of two cores whose partitions are fitted to the data; a partition is 10,000 bytes here."""
    monkeypatch.setattr(partitions, "BYTES", 10_000)
    scans = dict(zip(partitions.SCANS, ("10000", "0"), strict=True))
    monkeypatch.setattr(partitions, "SCANS", scans)
    own = {LEAST: "2", SETTING: "2", "spark.sql.adaptive.enabled": "false"}
    before = {key: spark.conf.get(key, None) for key in (*own, *scans)}
    for key, value in own.items():
        spark.conf.set(key, value)
    yield spark
    for key, earlier in before.items():
        if earlier is None:
            spark.conf.unset(key)
        else:
            spark.conf.set(key, earlier)


def table_of(spark: SparkSession, path: Path) -> DataFrame:
    """A Delta table of three dates, each a file of some 40,000 bytes."""
    rows = spark.range(30_000, numPartitions=1).select(
        F.col("id"),
        F.rand(seed=1).alias("value"),
        F.date_add(F.lit("2024-01-01"), (F.col("id") % 3).cast("int")).alias("day"),
    )
    rows.write.format("delta").partitionBy("day").save(str(path))
    return spark.read.format("delta").load(str(path))


def test_partitions_are_those_of_the_files_that_are_read(session: SparkSession, tmp_path: Path) -> None:
    table = table_of(session, tmp_path)
    sizes = [file.stat().st_size for file in tmp_path.rglob("day=*/*.parquet")]
    assert len(sizes) == 3

    whole, day = (partitions_of(frame) for frame in (table, table.where("day = '2024-01-02'")))

    assert whole == -(-sum(sizes) // 10_000)
    assert whole / 3 - 1 <= day <= whole / 3 + 1
    both = table.join(table.where("day = '2024-01-02'"), "id")
    assert whole + day - 1 <= partitions_of(both) <= whole + day


def test_scans_of_large_data_have_tasks_of_moderate_size(session: SparkSession, tmp_path: Path) -> None:
    table = table_of(session, tmp_path)
    assert table.rdd.getNumPartitions() == 2

    large = session.read.format("delta").load(str(tmp_path))
    fit_partitions(large)
    assert large.rdd.getNumPartitions() >= partitions_of(large) >= 12

    fit_partitions(session.range(5).toDF("id"))
    assert session.read.format("delta").load(str(tmp_path)).rdd.getNumPartitions() == 2


def test_small_data_have_one_partition_per_core(session: SparkSession, tmp_path: Path) -> None:
    fit_partitions(session.range(5).toDF("id"))

    assert session.conf.get(SETTING) == "2"


def test_what_is_made_of_a_large_result_has_as_many_partitions(session: SparkSession, tmp_path: Path) -> None:
    table = table_of(session, tmp_path)
    fit_partitions(table)
    count = int(session.conf.get(SETTING))
    assert count > 2

    counted = table.groupBy("id").count().localCheckpoint()

    assert counted.rdd.getNumPartitions() == count
    fit_partitions(counted.groupBy("count").count())
    assert session.conf.get(SETTING) == str(count)
    fit_partitions(session.range(5).toDF("id"))
    assert session.conf.get(SETTING) == "2"


def test_without_the_setting_nothing_changes(spark: SparkSession, tmp_path: Path) -> None:
    before = spark.conf.get(SETTING)
    table = table_of(spark, tmp_path)

    fit_partitions(table)

    assert spark.conf.get(SETTING) == before
    assert few_files(table, 3) is table


def test_a_range_of_dates_has_as_many_files_per_date_as_a_date_alone(session: SparkSession) -> None:
    wide = session.range(100, numPartitions=12).toDF("id").localCheckpoint()

    assert few_files(wide, 3).rdd.getNumPartitions() == 4
    assert few_files(wide, 100).rdd.getNumPartitions() == 2
    assert few_files(wide, 1) is wide
    narrow = session.range(100, numPartitions=2).toDF("id").localCheckpoint()
    assert few_files(narrow, 3) is narrow
    assert sorted(row.id for row in few_files(wide, 3).collect()) == [*range(100)]
