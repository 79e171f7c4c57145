"""Records what jobs use of what they declare: reads with their data dates, writes, flags, keys."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest

from core.config_model import ConfigModel
from core.schema import Config
from core.training_days import date_range
from jobs.runtime.declared import DeclaredInputs
from jobs.runtime.job import Job
from jobs.runtime.run import Run
from jobs.tables.table import Table


@dataclass(frozen=True)
class UsedDates:
    """Data dates of a table that a run has read; `of`: the run's own data dates."""

    table: str
    dates: frozenset[date]
    of: tuple[date, ...]


@dataclass
class Used:
    """What the runs of one job have used."""

    dates: set[UsedDates] = field(default_factory=set)
    tables: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)  # parts of the source, "champion", flags
    keys: set[str] = field(default_factory=set)


class DeclaredUse:
    """What the runs of all jobs have used while `recording` was on."""

    def __init__(self) -> None:
        self.by_job: dict[str, Used] = {}
        self._fields: dict[tuple[int, str], tuple[str, str]] = {}  # (id of a model, field) -> job, key
        self._kept: list[Any] = []  # so that no id is given twice

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record until the end of the block."""
        original = {name: getattr(DeclaredInputs, name) for name in dir(DeclaredInputs) if "require" in name}
        new_run, get = Run.__init__, ConfigModel.__getattribute__

        def recorded(name: str) -> Any:
            def call(inputs: DeclaredInputs, *arguments: Any) -> None:
                original[name](inputs, *arguments)
                self._add(inputs, name, arguments)

            return call

        def init(run: Run, job: Job, *rest: Any) -> None:
            new_run(run, job, *rest)
            for key in job.config:
                self._follow(run.config, key, job.name, run.config, key.split("."))

        def spy(model: ConfigModel, name: str) -> Any:
            if (found := self._fields.get((id(model), name))) is not None:
                self._of(found[0]).keys.add(found[1])
            return get(model, name)

        with pytest.MonkeyPatch.context() as patch:
            for name in original:
                patch.setattr(DeclaredInputs, name, recorded(name))
            patch.setattr(Run, "__init__", init)
            patch.setattr(ConfigModel, "__getattribute__", spy, raising=False)
            yield

    def _of(self, job: str) -> Used:
        return self.by_job.setdefault(job, Used())

    def _add(self, inputs: DeclaredInputs, name: str, arguments: tuple[Any, ...]) -> None:
        used = self._of(inputs._job.name)
        if name == "require_dates":
            table: Table
            table, first, last = arguments
            if table.date_column is not None and first is not None:
                dates = frozenset(date_range(first, last or first))
                used.dates.add(UsedDates(table.name, dates, tuple(inputs._dates)))
        elif name == "require_table":
            used.tables.add(arguments[0])
        elif name == "require_written":
            used.written.add(arguments[0])
        else:
            used.others.add(arguments[0] if arguments else "champion")

    def _follow(self, config: Config, key: str, job: str, model: Any, parts: list[str]) -> None:
        """Register the fields that a key ends in: one of each element where it names a list."""
        name, is_list = parts[0].removesuffix("[]"), parts[0].endswith("[]")
        if len(parts) == 1 or not isinstance(model, ConfigModel):
            self._kept.append(model)
            self._fields[id(model), name] = (job, key)
            return
        value = getattr(model, name)
        for each in value if is_list else [value]:
            if isinstance(each, ConfigModel):
                self._follow(config, key, job, each, parts[1:])
            else:  # a mapping, of which entries are declared
                self._kept.append(model)
                self._fields[id(model), name] = (job, key)


def unused(job: Job, used: Used, config: Config) -> list[str]:
    """Return what a job declares and its runs have not used, so that nothing would miss it."""
    found = [
        f"reads {read.table} ({read.when})" for read in job.reads if not _is_read(job, read, used, config)
    ]
    found += [f"writes {table}" for table in job.tables(config) if table not in used.written]
    found += [f"key {key}" for key in job.config if key not in used.keys]
    return found


def _is_read(job: Job, read: Any, used: Used, config: Config) -> bool:
    if read.kind == "earlier":
        return True  # used by runs after a change of the declaration alone
    if read.kind != "dates":
        return (read.table if read.kind == "source" else "champion") in used.others
    names = read.names(config)
    dated = [each for each in used.dates if each.table in names]
    if not dated:
        return all(name in used.tables for name in names)
    others = [other for other in job.reads if other is not read and set(other.names(config)) & set(names)]

    def covers(each: Any, dates: tuple[date, ...]) -> set[date]:
        return {day for data_date in dates for day in each.dates(config, data_date)}

    return any(
        used_dates.dates & covers(read, used_dates.of) - {d for o in others for d in covers(o, used_dates.of)}
        for used_dates in dated
    )
