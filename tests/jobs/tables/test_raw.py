"""Source files are read as they were received: every format, every row with its provenance."""

import bz2
import gzip
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from pyspark.sql import SparkSession

from core.errors import LamplighterError
from core.source import EventSource
from jobs.tables.delta_source import dates_of_table, table_of_date
from jobs.tables.raw import read_log
from jobs.tables.source_files import files_at

DAY = date(2024, 2, 29)
ROWS = [
    {"who": "ü;1", "what": "a\nb", "n": "7"},
    {"who": "2", "what": None, "n": "x"},
    {"who": "2", "what": None, "n": "x"},
]


COLUMNS = {"who", "what", "n"}


def source(**values: Any) -> EventSource:
    types = {"user_id": "string", "item_id": "string", "event_time": "timestamp"}
    columns = {name: {"from": "who", "type": kind} for name, kind in types.items()}
    return EventSource.model_validate(
        {
            "path": "log/{data_date}",
            "columns": columns,
            "event_id": ["who"],
            "keep": ["who"],
            "lateness_days": 0,
        }
        | values
    )


def to_csv(rows: list[dict[str, Any]], header: bool = True) -> str:
    lines = [";".join('"' + (row[name] or "NA") + '"' for name in ("who", "what", "n")) for row in rows]
    return "\n".join((["who;what;n"] if header else []) + lines) + "\n"


def csv_gz(file: Path, rows: list[dict[str, Any]]) -> None:
    file.with_suffix(".csv.gz").write_bytes(gzip.compress(to_csv(rows).encode()))


def json_bz2(file: Path, rows: list[dict[str, Any]]) -> None:
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    file.with_suffix(".json.bz2").write_bytes(bz2.compress(text.encode()))


def parquet(file: Path, rows: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), file.with_suffix(".parquet"))


def orc_file(file: Path, rows: list[dict[str, Any]]) -> None:
    orc.write_table(pa.Table.from_pylist(rows), file.with_suffix(".orc"))


@pytest.mark.parametrize(
    ("write", "values"),
    [
        (csv_gz, {"format": "csv", "options": {"sep": ";", "multiLine": True}, "nulls": ["NA"]}),
        (json_bz2, {"format": "json"}),
        (parquet, {}),
        (orc_file, {"format": "orc"}),
    ],
    ids=["csv", "json", "parquet", "orc"],
)
def test_every_format_gives_the_rows_of_all_files_with_their_positions(
    spark: SparkSession,
    tmp_path: Path,
    write: Callable[[Path, list[dict[str, Any]]], None],
    values: dict[str, Any],
) -> None:
    folder = tmp_path / "log [1]" / f"{DAY}" / "a b+c%20"  # names that globs and URIs would read otherwise
    folder.mkdir(parents=True)
    for name in ("part-0", "part-1"):
        write(folder / name, ROWS)
    (folder / "_SUCCESS").touch()
    files = files_at(tmp_path, f"log [[]1]/{DAY}", "csv", DAY)

    rows = read_log(spark, source(**values), files, COLUMNS).collect()

    for name in ("part-0", "part-1"):
        of_file = sorted(
            (row for row in rows if name in row["source_path"]), key=lambda row: row["row_index"]
        )
        assert [{key: row[key] for key in ("who", "what", "n")} for row in of_file] == ROWS
        assert [row["row_index"] for row in of_file] == [0, 1, 2]
        assert {row["file_date"] for row in of_file} == {DAY}
    assert {row["source_sha256"] for row in rows} == {file.sha256 for file in files}


def test_positions_do_not_depend_on_how_many_tasks_read_a_file(spark: SparkSession, tmp_path: Path) -> None:
    lines = [f"u{number};a;{number}" for number in range(4_000)]
    (tmp_path / "big.csv").write_text("\n".join(["who;what;n", *lines]) + "\n")
    files = files_at(tmp_path, "big.csv", "csv", DAY)
    declared = source(format="csv", options={"sep": ";"})
    found = []
    for size in ("134217728", "4096"):
        spark.conf.set("spark.sql.files.maxPartitionBytes", size)
        rows = read_log(spark, declared, files, COLUMNS)
        found.append({(row["n"], row["row_index"]) for row in rows.collect()})
    spark.conf.unset("spark.sql.files.maxPartitionBytes")

    assert found[0] == found[1] == {(str(number), number) for number in range(4_000)}


def test_a_broken_line_is_kept_as_it_was_received(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"who": "1", "n": 7}\n{"who": "2", \n')
    (tmp_path / "a.csv").write_text("who,what,n\n1,2,3,4\n")

    broken = read_log(spark, source(format="json"), files_at(tmp_path, "a.json", "json", DAY), COLUMNS)
    surplus = read_log(spark, source(format="csv"), files_at(tmp_path, "a.csv", "csv", DAY), COLUMNS)

    assert [
        (row["who"], row["n"], row["_corrupt_record"]) for row in broken.orderBy("row_index").collect()
    ] == [
        ("1", "7", None),
        (None, None, '{"who": "2", '),
    ]
    assert [(row["who"], row["_corrupt_record"]) for row in surplus.collect()] == [("1", "1,2,3,4")]


def test_csv_without_a_header_has_numbered_columns(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2\n3,4\n")
    declared = source(format="csv", options={"header": False})

    rows = read_log(spark, declared, files_at(tmp_path, "a.csv", "csv", DAY), COLUMNS)

    assert [(row["_c0"], row["_c1"], row["who"]) for row in rows.orderBy("row_index").collect()] == [
        ("1", "2", None),
        ("3", "4", None),
    ]


def test_files_with_other_columns_are_read_side_by_side(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("who,what,n\n1,2,3\n")
    (tmp_path / "b.csv").write_text("n,what,who,more\n4,5,6,7\n")

    rows = read_log(spark, source(format="csv"), files_at(tmp_path, "*.csv", "csv", DAY), COLUMNS)

    assert [(r["who"], r["what"], r["n"], r["more"]) for r in rows.orderBy("source_path").collect()] == [
        ("1", "2", "3", None),
        ("6", "5", "4", "7"),
    ]


def test_a_delta_table_holds_all_dates_and_only_changed_ones_have_another_hash(
    spark: SparkSession, tmp_path: Path
) -> None:
    table = str(tmp_path / "orders")
    other = date(2024, 3, 1)
    days = pa.Table.from_pylist(
        [{"who": "1", "day": DAY}, {"who": "2", "day": DAY}, {"who": "3", "day": other}]
    )
    write_deltalake(table, days, partition_by=["day"])
    declared = source(path="orders", format="delta", date_column="day")
    before = [table_of_date(tmp_path / "orders", declared, day) for day in (DAY, other)]
    write_deltalake(table, pa.Table.from_pylist([{"who": "4", "day": other}]), mode="append")
    after = [table_of_date(tmp_path / "orders", declared, day) for day in (DAY, other)]

    assert before[0][0].sha256 == after[0][0].sha256
    assert before[1][0].sha256 != after[1][0].sha256
    assert sorted(dates_of_table(tmp_path / "orders", declared)) == [DAY, other]
    assert table_of_date(tmp_path / "orders", declared, date(2024, 3, 2)) == []
    rows = read_log(spark, declared, after[1], COLUMNS).collect()
    assert {row["who"] for row in rows} == {"3", "4"}
    assert len({(row["source_sha256"], row["row_index"]) for row in rows}) == 2
    pinned = source(path="orders", format="delta", date_column="day", version=0)
    rows = read_log(spark, pinned, table_of_date(tmp_path / "orders", pinned, other), COLUMNS).collect()
    assert {row["who"] for row in rows} == {"3"}


def test_rows_of_a_table_without_a_date_are_an_error(spark: SparkSession, tmp_path: Path) -> None:
    rows = pa.Table.from_pylist([{"who": "1", "day": str(DAY)}, {"who": "2", "day": "soon"}])
    write_deltalake(str(tmp_path / "orders"), rows)
    declared = source(path="orders", format="delta", date_column="day")

    with pytest.raises(LamplighterError, match="orders: 1 rows have no readable date in day"):
        read_log(spark, declared, table_of_date(tmp_path / "orders", declared, DAY), COLUMNS)
