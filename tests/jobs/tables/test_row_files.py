"""Files of rows: what is written is what was read."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from core.errors import ConfigError
from jobs.tables.row_files import read_rows, require_writable, write_rows

AWKWARD = 'user_id,note\n1,"a ""b"",\nc "\n2,\n3,""\n" 4",  two spaces\n5,\\n\n6,東\n'


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz"])
def test_csv_is_the_same_after_reading_and_writing(spark: SparkSession, tmp_path: Path, name: str) -> None:
    received = tmp_path / "a [1] {b}.csv"  # no glob
    received.write_text("\ufeff" + AWKWARD, encoding="utf-8")

    rows = read_rows(spark, received)
    write_rows(rows, tmp_path / name)

    expected = [
        ("1", 'a "b",\nc '),
        ("2", None),
        ("3", ""),
        (" 4", "  two spaces"),
        ("5", "\\n"),
        ("6", "東"),
    ]
    assert rows.columns == ["user_id", "note"]
    assert [tuple(row) for row in read_rows(spark, tmp_path / name).collect()] == expected
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([received.name, name])


def test_parquet_keeps_types_and_replaces_a_file(spark: SparkSession, tmp_path: Path) -> None:
    written = pa.table(
        {
            "user_id": pa.array([1, None], pa.int32()),
            "at": pa.array(
                [datetime(2022, 5, 7, 1, 2, 3, 456789, tzinfo=UTC), None], pa.timestamp("us", "UTC")
            ),
            "tags": pa.array([["x"], []], pa.list_(pa.string())),
        }
    )
    file = tmp_path / "rows.parquet"
    pq.write_table(written, file)

    write_rows(read_rows(spark, file), file)

    assert pq.read_table(file).to_pylist() == written.to_pylist()
    with pytest.raises(
        ConfigError, match=r"columns tags hold lists or maps, which CSV does not; write .parquet"
    ):
        write_rows(read_rows(spark, file), tmp_path / "rows.csv")
    write_rows(read_rows(spark, file).select("user_id", "at"), tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_text() == "user_id,at\n1,2022-05-07T01:02:03.456789Z\n,\n"
    assert [each.name for each in tmp_path.glob(".*")] == []


def test_rows_without_any_are_a_file_too(spark: SparkSession, tmp_path: Path) -> None:
    write_rows(spark.createDataFrame([], "user_id int, note string"), tmp_path / "rows.csv")

    assert (tmp_path / "rows.csv").read_text() == "user_id,note\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"its first line is \[\]; expected names of columns, each once"),
        (b"user_id,note,note\n", "expected names of columns, each once"),
        ("user_id,länge\n".encode("latin-1"), "its first line is no UTF-8"),
    ],
)
def test_a_csv_file_without_names_of_columns_is_refused(
    spark: SparkSession, tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "rows.csv").write_bytes(content)

    with pytest.raises(ConfigError, match=message):
        read_rows(spark, tmp_path / "rows.csv")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rows.txt", r"its extension is .txt; expected .parquet, .csv or .csv.gz"),
        ("rows", "its extension is missing; expected"),
        ("nowhere/rows.csv", "there is no folder"),
        ("folder.csv", "it is a folder; expected a file to write"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.csv").mkdir()

    with pytest.raises(ConfigError, match=message):
        require_writable(tmp_path / name)
