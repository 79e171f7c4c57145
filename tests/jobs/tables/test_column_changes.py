"""Columns of a new log file against those of the file before: what stops it, and what is only noticed."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import LamplighterError
from core.expressions import columns_without_cast
from core.source import AttributeSource, LogSource, Mapping
from jobs.tables.attribute_files import AttributeFiles
from jobs.tables.column_changes import kind_of
from jobs.tables.log_files import LogFiles

BEFORE, DAY = date(2024, 2, 28), date(2024, 2, 29)
COLUMNS = {"user": pa.int64(), "at": pa.timestamp("us"), "clicked": pa.int8(), "page": pa.string()}


def write(folder: Path, day: date, **columns: pa.DataType) -> None:
    (folder / "log").mkdir(exist_ok=True)
    schema = pa.schema(list(columns.items()))
    pq.write_table(pa.Table.from_pylist([], schema=schema), folder / "log" / f"{day}.parquet")


def log_of(folder: Path, *texts: str) -> LogFiles:
    """The log, of which the file of BEFORE was accepted, and which reads these expressions."""
    source = LogSource.model_construct(path="log/{data_date}.parquet", format="parquet", options={})
    typed = frozenset().union(*map(columns_without_cast, texts))
    files = LogFiles(folder, source, frozenset({"user", "at", "clicked"}), typed, lambda _: folder, dict)
    known = {(file.path, file.sha256): BEFORE for file in files.of(BEFORE)}
    return LogFiles(folder, source, files.columns, typed, lambda _: folder, lambda: known)


READ = ("user", "at", "IF(clicked > 0, 1, 0)")


def test_a_column_that_is_gone_and_one_of_another_type_stop_the_file(tmp_path: Path) -> None:
    write(tmp_path, BEFORE, **COLUMNS)
    write(tmp_path, DAY, user=pa.string(), at=pa.timestamp("ms"), page=pa.string())

    with pytest.raises(LamplighterError) as error:
        log_of(tmp_path, *READ).require(DAY, allow_missing=False)

    assert str(error.value) == (
        "log/2024-02-29.parquet (data date 2024-02-29): column clicked is missing, expected int8; "
        "column user is string, expected int64, as in log/2024-02-28.parquet; deliver the file as before; "
        "or, if files stay like this, change the mapping in the YAML (from: CAST(column AS type) reads any "
        "type)"
    )


def test_a_mapping_that_casts_reads_any_type(tmp_path: Path) -> None:
    write(tmp_path, BEFORE, **COLUMNS)
    write(tmp_path, DAY, **(COLUMNS | {"user": pa.string()}))

    log = log_of(tmp_path, "CAST(user AS BIGINT)", *READ[1:])

    assert [file.file_date for file in log.require(DAY, allow_missing=False)] == [DAY]


def test_a_column_that_nothing_reads_is_noticed_when_it_comes_and_goes(tmp_path: Path) -> None:
    write(tmp_path, BEFORE, **COLUMNS)
    columns = {name: kind for name, kind in COLUMNS.items() if name != "page"} | {"device": pa.string()}
    write(tmp_path, DAY, **columns)
    log = log_of(tmp_path, *READ)

    files = log.require(DAY, allow_missing=False)

    assert log.notices(files) == [
        "log/2024-02-29.parquet: new column device (string) is not read",
        "log/2024-02-29.parquet: column page, which nothing reads, is gone",
    ]
    assert log.notices(log.of(BEFORE)) == []  # it was accepted as it is


def test_in_a_first_history_each_file_is_compared_with_the_one_before(tmp_path: Path) -> None:
    write(tmp_path, BEFORE, **COLUMNS)
    write(tmp_path, DAY, **(COLUMNS | {"user": pa.string()}))
    log = replace(log_of(tmp_path, *READ), accepted=dict)  # nothing was scanned yet

    log.require(BEFORE, allow_missing=False)
    with pytest.raises(LamplighterError, match="column user is string, expected int64, as in log/2024-02-28"):
        log.require(DAY, allow_missing=False)


def test_a_snapshot_of_users_is_compared_with_the_one_of_the_date_before(tmp_path: Path) -> None:
    write(tmp_path, BEFORE, user=pa.int64(), city=pa.string())
    write(tmp_path, DAY, user=pa.string(), city=pa.large_string())
    columns = {"user_city": Mapping.model_validate({"from": "city", "type": "string"})}
    source = AttributeSource.model_construct(
        path="log/{data_date}.parquet",
        format="parquet",
        options={},
        key="user",
        snapshot_date="path",
        changed_at=None,
        valid_from=None,
        columns=columns,
    )
    snapshots = AttributeFiles(tmp_path, source, lambda _: tmp_path)

    snapshots.require(BEFORE)
    with pytest.raises(LamplighterError, match="column user is string, expected int64, as in log/2024-02-28"):
        snapshots.require(DAY)


def test_a_wider_type_of_the_same_kind_is_no_other_type() -> None:
    assert kind_of("int32") == kind_of("int64") != kind_of("double")
    assert kind_of("timestamp[us]") == kind_of("timestamp[ns]") != kind_of("timestamp[us, tz=UTC]")
