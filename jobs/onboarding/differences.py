"""What differs between rows that jobs have made and those that a test expects, a line each."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from math import isclose
from pathlib import Path
from typing import Any, NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from core.layers import nearest_line
from jobs.onboarding.memory_run import Tables
from jobs.runtime.project import Project
from jobs.tables.table import Table

Row = dict[str, Any]
KEYS = ("event_id", "user_id", "item_id")
TOLERANCE = 1e-6
"""Relative difference of doubles that is none."""


class Expected(NamedTuple):
    """Rows that a table must have: its name, the data date, the rows, and their place in the file."""

    table: str
    data_date: date | None
    rows: list[Row]
    key: tuple[str, ...]


def differences(file: Path, expected: Expected, project: Project, tables: Tables) -> Iterator[str]:
    """Yield a line per cell, or row, that is not as expected: file, line, table, date, key, both values."""
    declared, frame = project.catalog[expected.table], tables.get(expected.table)
    found = [] if frame is None else _rows(frame, expected, declared)
    where = f"{expected.table} {expected.data_date or ''}".strip()
    if not expected.rows and found:
        line = nearest_line(file, expected.key)
        yield f"{file}:{line}: {where}: {len(found)} rows, expected none; the first is {_plain(found[0])}"
    for number, row in enumerate(expected.rows):
        place = f"{file}:{nearest_line(file, (*expected.key, number))}: {where}"
        keys = {name: value for name, value in row.items() if name in (*declared.grain, *KEYS)}
        named = " ".join(f"{name}={value}" for name, value in keys.items())
        matching = [each for each in found if all(is_equal(each[k], v) for k, v in keys.items())]
        if len(matching) != 1:
            known = [{name: each[name] for name in keys} for each in found[:5]]
            yield f"{place} {named}: {len(matching)} rows, expected one; there are {known}"
            continue
        for name, value in row.items():
            if not is_equal(matching[0][name], value):
                yield f"{place} {named}: {name} is {matching[0][name]!r}, expected {value!r}"


def _rows(frame: DataFrame, expected: Expected, declared: Table) -> list[Row]:
    """Return the rows of a data date, times as text in UTC."""
    if expected.data_date is not None:
        frame = frame.where(F.col(str(declared.date_column)) == F.lit(expected.data_date))
    texts = [f.name for f in frame.schema.fields if isinstance(f.dataType, T.TimestampType)]
    frame = frame.withColumns({name: F.col(name).cast("string") for name in texts})
    return [row.asDict() for row in frame.orderBy(*declared.grain).collect()]


def is_equal(found: Any, expected: Any) -> bool:
    """Return whether a value is what the file of a test says; doubles to six digits.

    Times are compared as text in UTC; a file may say 2022-05-07 10:00:00 without quotes.
    """
    if found is None or expected is None:
        return found is expected
    if isinstance(found, bool) or isinstance(expected, bool):
        return bool(found) == expected if isinstance(found, bool | int) else False
    if isinstance(found, Decimal):
        return isinstance(expected, int | float) and found == Decimal(str(expected))
    if isinstance(found, float):
        return isinstance(expected, int | float) and isclose(found, expected, rel_tol=TOLERANCE)
    if isinstance(found, list):
        return isinstance(expected, list) and len(found) == len(expected) and all(
            map(is_equal, found, expected)
        )  # fmt: skip
    if isinstance(found, str):
        return found == str(expected)
    return bool(found == expected)


def _plain(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None}
