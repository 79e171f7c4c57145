"""Tests of a data set: rows of its source files, and what jobs must make of them.

A test is a YAML file of conf/tests. The jobs of a history run on its rows as they run in a night, from
`scan_sources` to `build_examples`, with tables in memory.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError
from yaml import YAMLError

from core.config_model import ConfigModel
from core.errors import ConfigError
from core.layers import nearest_line
from core.load import default_project, load_config
from core.schema import Config
from jobs.onboarding.differences import Expected, Row, differences
from jobs.onboarding.memory_run import MemoryRun, Tables
from jobs.onboarding.source_rows import settings_of, write_sources
from jobs.runtime.arguments import Arguments
from jobs.runtime.job import Job
from jobs.runtime.pipeline import all_jobs, data_steps
from jobs.runtime.project import Project
from jobs.tables.table import Table

RowsByDate = dict[date, list[Row]]


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
        ConfigError: the file is missing, is no YAML, names a column or table that does not exist, or has rows
            of a source that the data set does not declare so.
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
        try:
            write_sources(opened.config, opened.sources, Path(name) / "source", test.rows)
        except ConfigError as error:
            raise ConfigError(f"{file}: {error}") from error
        tables = Tables()
        for job in _jobs_up_to({each.table for each in expected}, opened.config):
            job.outline(MemoryRun(job, Project(arguments), tables))
        return [line for each in expected for line in differences(file, each, opened, tables)]


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
