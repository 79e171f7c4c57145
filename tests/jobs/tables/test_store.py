"""Tables are replaced as a whole date or not at all, keep their columns, and say what each commit carries."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import types as T

from core.errors import ConfigError, LamplighterError
from jobs.tables.checks import SchemaDifference
from jobs.tables.table import Table
from tests.jobs.tables.small import (
    DAY,
    LONG,
    NEXT,
    NUMBERS,
    RUNS,
    WIDER,
    numbers,
    row,
    small_store,
    write_numbers,
)

MEASURES = Table(
    "measures",
    ("name",),
    {
        "name": T.StringType(),
        "reasons": T.ArrayType(T.StringType()),
        "replicates": T.ArrayType(T.DoubleType()),
        "seconds": T.DecimalType(12, 3),
    },
    partition=(),
)


def test_a_table_that_was_never_written_has_no_rows(spark: SparkSession, tmp_path: Path) -> None:
    store = small_store(tmp_path)

    assert store.version("numbers") is None
    assert store.rows("numbers") == []
    assert store.read(spark, "numbers").schema == NUMBERS.schema
    assert store.commits("numbers") == {}
    assert store.schema_difference("numbers") == SchemaDifference(faults=[], new={}, old=[])


def test_a_data_date_is_replaced_and_others_stay(spark: SparkSession, tmp_path: Path) -> None:
    store = small_store(tmp_path)
    write_numbers(spark, store, (1, 10), (2, 20))
    write_numbers(spark, store, (1, 11), day=NEXT)

    write_numbers(spark, store, (3, 30))

    assert sorted((r["id"], r["value"], r["data_date"]) for r in store.rows("numbers")) == [
        (1, 11, NEXT),
        (3, 30, DAY),
    ]
    assert store.data_dates("numbers") == [DAY, NEXT]


def test_the_columns_of_a_frame_are_those_declared(spark: SparkSession, tmp_path: Path) -> None:
    frame = spark.createDataFrame([(1, "ten", 0, DAY)], "id long, value string, more int, data_date date")

    with pytest.raises(LamplighterError) as error:
        small_store(tmp_path).replace("numbers", frame.drop("id"), "true", {}, 1)

    assert str(error.value) == (
        "numbers: columns differ from the catalog: id is missing; more is not declared; "
        "value is string, declared bigint"
    )


@pytest.mark.parametrize(
    ("declared", "difference"),
    [
        (
            replace(NUMBERS, columns=NUMBERS.columns | {"value": T.DoubleType()}),
            "column value is bigint in the table, declared double",
        ),
        (replace(NUMBERS, partition=()), "it is partitioned by ['data_date'], declared []"),
    ],
)
def test_a_table_keeps_the_types_that_it_was_made_with(
    spark: SparkSession, tmp_path: Path, declared: Table, difference: str
) -> None:
    write_numbers(spark, small_store(tmp_path), (1, 10))
    store = small_store(tmp_path, declared)

    with pytest.raises(ConfigError) as error:
        store.replace("numbers", spark.createDataFrame([], declared.schema), "true", {}, 0)

    assert error.value.exit_code == 2
    assert str(error.value).startswith(f"numbers: {difference}; table unchanged. ")
    assert store.schema_difference("numbers").faults == [difference]
    assert store.version("numbers") == 1  # 0 made it, 1 wrote the row


def test_a_table_gains_a_column_with_the_first_commit_that_has_it(
    spark: SparkSession, tmp_path: Path
) -> None:
    write_numbers(spark, small_store(tmp_path), (1, 10))
    store = small_store(tmp_path, WIDER)
    assert store.schema_difference("numbers").new == {"clicks": LONG}  # seen before Spark starts

    frame = spark.createDataFrame(
        [(2, 20, NEXT, 5)], "id bigint, value bigint, data_date date, clicks bigint"
    )
    store.replace("numbers", frame.select(*WIDER.columns), f"data_date = DATE'{NEXT}'", {}, 1)

    assert store.schema_difference("numbers").new == {}
    found = {(row["id"], row["value"], row["clicks"]) for row in store.rows("numbers")}
    assert found == {(1, 10, None), (2, 20, 5)}
    assert store.version("numbers") == 2  # the column and the row are one commit


def test_a_column_that_is_not_declared_any_more_stays_in_older_rows(
    spark: SparkSession, tmp_path: Path
) -> None:
    write_numbers(spark, small_store(tmp_path), (1, 10))
    narrow = replace(NUMBERS, columns={"id": LONG, "data_date": T.DateType()})
    store = small_store(tmp_path, narrow)
    assert store.schema_difference("numbers").old == ["value"]

    frame = spark.createDataFrame([(2, NEXT)], narrow.schema)
    store.replace("numbers", frame, f"data_date = DATE'{NEXT}'", {}, 1)

    rows = small_store(tmp_path).rows("numbers")
    assert {(row["id"], row["value"]) for row in rows} == {(1, 10), (2, None)}


def test_a_table_written_without_spark_gains_the_columns_that_are_declared_later(tmp_path: Path) -> None:
    small_store(tmp_path).append_rows("runs", [row("a"), row("b")], "test", {})

    wider = replace(RUNS, columns=RUNS.columns | {"seconds": T.DoubleType()})
    store = small_store(tmp_path, wider)
    store.replace_rows("runs", [row("a", seconds=1.5)], "test", {}, "run_id = 'a'")

    assert {r["run_id"]: r["seconds"] for r in store.rows("runs")} == {"a": 1.5, "b": None}


def test_a_table_written_without_spark_does_not_change_a_type(tmp_path: Path) -> None:
    small_store(tmp_path).append_rows("runs", [row("a")], "test", {})
    other = small_store(tmp_path, replace(RUNS, columns=RUNS.columns | {"state": LONG}))

    with pytest.raises(ConfigError, match="runs: column state is string in the table, declared bigint"):
        other.append_rows("runs", [row("b", state=1)], "test", {})


def test_arrays_and_decimals_are_written_without_spark_and_read_by_both(
    spark: SparkSession, tmp_path: Path
) -> None:
    store = small_store(tmp_path, MEASURES)
    rows = [
        {"name": "a", "reasons": ["x", "y"], "replicates": [0.1, 0.2], "seconds": Decimal("1.250")},
        {"name": "b", "reasons": [], "replicates": None, "seconds": None},
    ]
    store.append_rows("measures", rows, "test", {})

    assert sorted(store.rows("measures"), key=lambda r: r["name"]) == rows
    assert [r.asDict() for r in store.read(spark, "measures").orderBy("name").collect()] == rows


@pytest.mark.parametrize("keys", [["a", "a"], ["a", None]])
def test_a_key_occurs_once_and_is_not_null(tmp_path: Path, keys: list[str]) -> None:
    store = small_store(tmp_path)

    with pytest.raises(
        LamplighterError, match=r"runs: a key \(run_id\) occurs more than once or holds a null"
    ):
        store.append_rows("runs", [row(key) for key in keys], "test", {})
    assert store.version("runs") is None


def test_every_commit_says_what_it_carries(spark: SparkSession, tmp_path: Path) -> None:
    store = small_store(tmp_path)
    store.append_rows("runs", [row("a")], "test", {"run_id": "a", "partitions": {"x": "f1"}})
    write_numbers(spark, store, (1, 10))
    assert store.commits("runs") == {0: {}, 1: {"run_id": "a", "partitions": {"x": "f1"}}}
    assert store.newest_metadata("numbers") == {"run_id": f"run of {DAY}"}

    store.append_rows("runs", [row("b")], "test", {"run_id": "b"})

    assert store.commits("runs")[2] == {"run_id": "b"}  # not the answer of before


def test_a_commit_that_is_gone_or_was_written_anew_shows(tmp_path: Path) -> None:
    store = small_store(tmp_path)
    for name in ("a", "b"):
        store.append_rows("runs", [row(name)], "test", {"run_id": name})
    assert store.commits("runs")[2] == {"run_id": "b"}

    (store.catalog.path("runs") / "_delta_log" / f"{2:020}.json").unlink()
    assert 2 not in store.commits("runs")
    small_store(tmp_path).append_rows("runs", [row("c")], "test", {"run_id": "c"})

    assert store.commits("runs")[2] == {"run_id": "c"}


def test_what_a_file_holds_is_what_the_table_holds(spark: SparkSession, tmp_path: Path) -> None:
    store = small_store(tmp_path)
    write_numbers(spark, store, (1, 10))
    table = store.delta("numbers")

    assert table is not None
    assert table.metadata().configuration["delta.enableDeletionVectors"] == "false"
    assert table.metadata().configuration["delta.columnMapping.mode"] == "none"


@pytest.mark.parametrize(
    ("option", "value", "feature"),
    [
        ("delta.enableDeletionVectors", "true", "deletionVectors"),
        ("delta.columnMapping.mode", "name", "columnMapping"),
        ("delta.enableTypeWidening", "true", "typeWidening"),
    ],
)
def test_a_table_whose_files_do_not_say_all_is_refused_by_the_feature(
    spark: SparkSession, tmp_path: Path, option: str, value: str, feature: str
) -> None:
    store = small_store(tmp_path)
    folder = str(store.catalog.path("numbers"))
    frame = numbers(spark, (1, 10), (2, 20), (3, 30))
    frame.coalesce(1).write.format("delta").option(option, value).partitionBy("data_date").save(folder)
    if feature == "deletionVectors":  # its file still holds three rows
        spark.sql(f"DELETE FROM delta.`{folder}` WHERE id = 1")

    for read in (
        lambda: store.delta("numbers"),
        lambda: store.rows("numbers"),
        lambda: store.read(spark, "numbers"),
        lambda: store.replace("numbers", frame, "true", {}, 3),
    ):
        with pytest.raises(LamplighterError) as error:
            read()
        assert f"numbers: the table's protocol has reader feature {feature}" in str(error.value)
        assert f"DROP FEATURE {feature}" in str(error.value)
        assert "\n" not in str(error.value)


def test_files_are_found_below_a_folder_with_blanks_and_signs(spark: SparkSession, tmp_path: Path) -> None:
    store = small_store(tmp_path / "50 % of ü")
    write_numbers(spark, store, (1, 10))
    write_numbers(spark, store, (1, 11), day=NEXT)
    store.append_rows("runs", [row("a")], "test", {})

    (file,) = store.files("numbers", f"data_date = '{DAY}'")
    assert file.exists()
    assert file.parent == store.catalog.path("numbers") / f"data_date={DAY}"
    assert len(store.files("numbers")) == 2
    assert store.files("numbers", version=0) == []
    assert len(store.rows("numbers")) == 2
    assert len(store.rows("runs")) == 1


def test_a_partition_is_whole_if_it_has_files_and_none_is_lost(tmp_path: Path) -> None:
    store = small_store(tmp_path)
    assert not store.is_whole("numbers")
    for day in (DAY, NEXT):
        rows = [{"id": 1, "value": 1, "data_date": day}]
        store.replace_rows("numbers", rows, "test", {}, f"data_date = '{day}'")
    store.files("numbers", f"data_date = '{DAY}'")[0].unlink()

    assert not store.is_whole("numbers")
    assert not store.is_whole("numbers", f"data_date = '{DAY}'")
    assert store.is_whole("numbers", f"data_date = '{NEXT}'")
    assert not store.is_whole("numbers", "data_date = '2022-05-01'")
