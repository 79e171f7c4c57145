"""Tests of a data set: rows of its source files, and what jobs must make of them.

A test is a YAML file of conf/tests. The jobs of a history run on its rows as they run in a night, from
`scan_sources` to `build_examples`, with tables in memory.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from math import isclose
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import yaml
from pydantic import Field, ValidationError
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from yaml import YAMLError

from core.config_model import ConfigModel
from core.errors import ConfigError
from core.layers import nearest_line
from core.load import default_project, load_config
from core.schema import Config
from jobs.onboarding.memory_run import MemoryRun, Tables
from jobs.onboarding.source_rows import settings_of, write_sources
from jobs.runtime.arguments import Arguments
from jobs.runtime.job import Job
from jobs.runtime.pipeline import all_jobs, data_steps
from jobs.runtime.project import Project
from jobs.tables.table import Table

Row = dict[str, Any]
RowsByDate = dict[date, list[Row]]
KEYS = ("event_id", "user_id", "item_id")
TOLERANCE = 1e-6
"""Relative difference of doubles that is none."""


class UnitTest(ConfigModel):
    """A test as its file holds it.

    expect: table -> data date -> rows; of a table without data dates, rows. A row is found by the keys that
    it names, and its other columns are compared. No rows at all: the table has none of that date.
    """

    dataset: str
    events: Annotated[RowsByDate, Field(min_length=1)]  # date of a file -> its rows
    actions: dict[str, RowsByDate] = Field(default_factory=dict)
    users: RowsByDate | list[Row] = Field(default_factory=list)
    items: RowsByDate | list[Row] = Field(default_factory=list)
    expect: dict[str, RowsByDate | list[Row]]

    @property
    def rows(self) -> dict[str, RowsByDate | list[Row]]:
        """The rows of all sources, by their keys below `source`."""
        actions: dict[str, RowsByDate | list[Row]] = {
            f"actions.{n}": rows for n, rows in self.actions.items()
        }
        return {"events": self.events, **actions, "users": self.users, "items": self.items}

    @property
    def dates(self) -> list[date]:
        """The dates of log files, and of the rows that are expected."""
        by_date = [self.events, *self.actions.values(), *self.expect.values()]
        return sorted({day for rows in by_date if isinstance(rows, dict) for day in rows})


class Expected(NamedTuple):
    """Rows that a table must have: its name, the data date, the rows, and their place in the file."""

    table: str
    data_date: date | None
    rows: list[Row]
    key: tuple[str, ...]


def files_of_tests(project: Path | None, names: Sequence[str]) -> list[Path]:
    """Return the files that are named, else all of conf/tests.

    Raises:
        ConfigError: there are none.
    """
    folder = (project or default_project()) / "conf" / "tests"
    files = [Path(name) for name in names] or sorted(folder.glob("*.yaml"))
    if not files:
        raise ConfigError(f"{folder} holds no tests; expected YAML files, or name one: lamplighter test FILE")
    return files


def run_test(file: Path, project: Path | None) -> list[str]:
    """Run one test; return its differences, a line each.

    Args:
        file: the test.
        project: the project's folder; None: as of `default_project`.

    Raises:
        ConfigError: the file is missing, is no YAML, or names a column or table that does not exist.
        LamplighterError: a job fails on these rows.
    """
    test = read_test(file)
    expected = list(_expected(test))
    folder = project or default_project()
    config = load_config(test.dataset, folder=folder)
    days = test.dates
    with tempfile.TemporaryDirectory(prefix="lamplighter-test-") as name:
        arguments = Arguments(
            days[0], days[-1], test.dataset, settings=_settings(config, Path(name)), allow_empty=True,
            project=folder,
        )  # fmt: skip
        opened = Project(arguments)
        _require_declared(file, expected, opened.catalog.tables)
        write_sources(opened.config, opened.sources, Path(name) / "source", test.rows)
        tables = Tables()
        for job in _jobs_up_to({each.table for each in expected}, opened.config):
            job.outline(MemoryRun(job, Project(arguments), tables))
        return [line for each in expected for line in _differences(file, each, opened, tables)]


def read_test(file: Path) -> UnitTest:
    """Read the file of a test.

    Raises:
        ConfigError: it is missing, is no YAML, or is not what a test is; with the line.
    """
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
        return UnitTest.model_validate(values)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read ({error.strerror}); expected a YAML file") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is no YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        fault = error.errors()[0]
        line = nearest_line(file, fault["loc"])
        key = ".".join(map(str, fault["loc"]))
        raise ConfigError(f"{file}:{line}: {key}: {fault['msg']}") from error


def _settings(config: Config, folder: Path) -> tuple[str, ...]:
    return (
        *settings_of(config, folder / "source"),
        f"paths.warehouse='{folder}/warehouse'",
        f"paths.reports='{folder}/reports'",
        "source.events.max_failing_share=1",  # of three rows one may be broken, and go to quarantine
        # Rows are few: starting tasks and compiling plans would take longer than they do.
        "runtime.cores=1",
        "runtime.spark={spark.sql.codegen.wholeStage: 'false', spark.sql.codegen.factoryMode: NO_CODEGEN}",
    )


def _expected(test: UnitTest) -> Iterator[Expected]:
    for table, of_dates in test.expect.items():
        if isinstance(of_dates, list):
            yield Expected(table, None, of_dates, ("expect", table))
        else:
            for day, rows in of_dates.items():
                yield Expected(table, day, rows, ("expect", table, str(day)))


def _require_declared(file: Path, expected: Sequence[Expected], tables: Mapping[str, Table]) -> None:
    for each in expected:
        place = f"{file}:{nearest_line(file, each.key)}: {each.table}"
        known = sorted(name for name, table in tables.items() if table.is_large)
        if each.table not in known:
            raise ConfigError(f"{place}: no such table; expected one of {known}")
        if (tables[each.table].date_column is None) != (each.data_date is None):
            wanted = "rows by data date" if each.data_date is None else "rows without a data date"
            raise ConfigError(f"{place}: expected {wanted}")
        columns = tables[each.table].columns
        for number, row in enumerate(each.rows):
            if unknown := sorted(set(row) - set(columns)):
                line = nearest_line(file, (*each.key, number))
                raise ConfigError(
                    f"{file}:{line}: {each.table} has no columns {unknown}; it has {sorted(columns)}"
                )


def _jobs_up_to(tables: set[str], config: Config) -> list[Job]:
    """Return the jobs of a history up to the last one that writes one of some tables."""
    jobs = [all_jobs()[name] for name in data_steps() if all_jobs()[name].writes]
    last = max(n for n, job in enumerate(jobs) if tables & set(job.tables(config)))
    return jobs[: last + 1]


# --- what differs -------------------------------------------------------------------------------


def _differences(file: Path, expected: Expected, project: Project, tables: Tables) -> Iterator[str]:
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
