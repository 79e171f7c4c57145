"""Which steps a backfill runs, over generated orders of arrival: they are enough, and they are what it said.

Jobs are replaced by ones that make symbols of what they read: events are sets of rows, features a hash of the
events and of the features of the day before. Files, manifest and ledger are in memory. What decides (sources,
fingerprints, planner, backfill) is the code itself.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from core.load import load_config
from core.schema import Config
from core.training_days import date_range
from jobs.runtime import backfill
from jobs.runtime.arguments import Arguments
from jobs.runtime.backfill import plan_backfill, run_backfill, spans
from jobs.runtime.fingerprints import Champion, Lineage, Recipe
from jobs.runtime.pipeline import all_jobs, data_steps
from jobs.runtime.plan import Planner
from jobs.tables.catalog import Catalog
from jobs.tables.file_dates import FileDate
from jobs.tables.ledger import NewestRun, RunKey
from jobs.tables.source_files import SourceFile
from jobs.tables.sources import Sources
from tests.tiny_log import DAYS, NAME, write_tiny_project

ONE, LAST = DAYS[0], DAYS[-1]
DAY = timedelta(days=1)
NAMES = ("a", "b")
BY_RULE = "rule too_late"
NO_DATES: Mapping[str, date] = {}
RECIPES: dict[Any, Recipe] = {}


# --- what happens ------------------------------------------------------------------------------


class Row(NamedTuple):
    """An event of a user on a day."""

    day: date
    user: int


class Deliver(NamedTuple):
    """A file, new or in place of one."""

    day: date
    name: str
    rows: frozenset[Row]


class Withdraw(NamedTuple):
    """A file that is taken away."""

    day: date
    name: str


class Readmit(NamedTuple):
    """The rows of a file that are later than the horizon."""

    day: date
    name: str


class Backfill(NamedTuple):
    """A backfill from a day on, which ends with its n-th job as kill -9 would end it."""

    first: date
    ends_with: int


Happening = Deliver | Withdraw | Readmit | Backfill
days, names = st.sampled_from(DAYS), st.sampled_from(NAMES)
rows = st.frozensets(st.builds(Row, days, st.integers(0, 1)), max_size=4)
arrivals = st.builds(Deliver, days, names, rows) | st.builds(Withdraw, days, names)
happenings = (
    arrivals | st.builds(Readmit, days, names) | st.builds(Backfill, days, st.sampled_from([1, 2, 4, 7, 99]))
)
before_the_first_run = st.dictionaries(st.tuples(days, names), rows, max_size=6)


# --- a world in memory -------------------------------------------------------------------------


@cache
def tiny_config() -> tuple[Config, Mapping[str, str]]:
    """The configuration of the tiny log, and the hashes of its tables' declarations."""
    import tempfile

    folder = write_tiny_project(Path(tempfile.mkdtemp(prefix="lamplighter-test-")))
    config = load_config(NAME, folder=folder)
    tables = Catalog(config, folder).tables
    return config, {name: table.declaration_hash for name, table in tables.items()}


class CutError(Exception):
    """The end of a process."""


@dataclass
class World:
    """What the source offers, and what jobs have made of it."""

    files: dict[tuple[date, str], frozenset[Row]] = field(default_factory=dict)
    manifest: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    readmissions: dict[tuple[str, date], dict[str, Any]] = field(default_factory=dict)
    known: dict[RunKey, NewestRun] = field(default_factory=dict)
    made: dict[tuple[str, date], int] = field(default_factory=dict)
    ran: list[tuple[str, date]] = field(default_factory=list)
    ends_with: int = 99
    is_oracle: bool = False  # ingest takes rows from all files that there are, by their dates alone

    # What Store, Ledger and Project are asked for.

    def rows(self, name: str) -> list[dict[str, Any]]:
        tables: dict[str, Iterable[dict[str, Any]]] = {
            "source_files": self.manifest.values(),
            "readmissions": self.readmissions.values(),
        }
        return [*tables.get(name, ())]

    def data_dates(self, name: str) -> list[date]:
        return sorted(day for job, day in self.made if (job, name) == ("build_features", "user_features"))

    def opened(self, arguments: Arguments) -> Any:
        config, tables = tiny_config()
        sources = ModelSources(self, config)

        def lineage(
            dates: Sequence[date], expected: Sequence[str] = (), first_dates: Mapping[str, date] = NO_DATES
        ) -> Lineage:
            found = Lineage(
                config=config,
                source_hashes=sources.hashes,
                known=dict(self.known),
                champion=lambda day, candidate: Champion(None),
                table_hashes=tables,
                dates=frozenset(dates),
                expected=frozenset(expected),
                first_dates=first_dates,
            )
            found._recipes = RECIPES  # files and configuration do not change here
            return found

        return SimpleNamespace(
            arguments=arguments,
            config=config,
            dates=date_range(arguments.first, arguments.last),
            sources=sources,
            store=self,
            catalog=SimpleNamespace(tables={}),
            ledger=SimpleNamespace(rows=list, newest_of_all=lambda: dict(self.known)),
            lineage=lineage,
            newest_runs=lambda dates: dict(self.known),
            spark=None,
        )

    # What jobs do.

    def run(self, job: str, first: date, last: date) -> None:
        """Run a job over a range; the one that the process ends with leaves something half-written."""
        dates = date_range(first, last)
        project = self.opened(Arguments(first, last, NAME))
        made = project.lineage(dates, expected=(job,))
        prints = {day: made.make(job, day) for day in dates}
        self.ends_with -= 1
        is_cut = self.ends_with == 0
        for day in dates:
            self.ran.append((job, day))
            self.made[job, day] = -1 if is_cut else self._make(job, day, project.sources)
            found = prints[day]
            self.known[RunKey(job, "", day)] = NewestRun(
                f"run {len(self.ran)}",
                "started" if is_cut else "done",
                found.value,
                found.code,
                found.config,
                found.inputs,
                1.0,
                {},
                {},
                "",
            )
        if is_cut:
            raise CutError

    def _make(self, job: str, day: date, sources: "ModelSources") -> int:
        def of(made_by: str, back: int = 0) -> int:
            return self.made.get((made_by, day - back * DAY), 0)

        match job:
            case "scan_sources":
                for file in sources.log_files(day):
                    self.manifest.setdefault((file.path, file.sha256), self.described(file))
                return 0
            case "ingest":
                files = [file for each in DAYS for file in sources.log_files(each)]
                files = files if self.is_oracle else sources.covering(day)
                held = (each for file in files for each in self.dated(file))
                return hash(frozenset(row for row, of_day, _ in held if of_day == day))
            case "build_features":
                return hash((of("build_features", 1), of("ingest", 1), of("ingest")))
            case "label_cohorts":
                return hash(("cohorts", of("build_features")))
            case "build_examples":
                return hash((of("ingest"), of("build_features", 1), of("label_cohorts", 1)))
            case "fit_group_means":
                return hash((of("build_examples", 1), of("build_examples")))
        return 0

    def dated(self, file: SourceFile) -> Iterator[tuple[tuple[Row, bool], date, bool]]:
        """Yield the rows of a file, whether they are too late, and their data dates."""
        assert file.file_date is not None
        for row in self.files[file.file_date, Path(file.path).stem]:
            is_late = row.day < file.file_date - DAY
            is_let_in = is_late and (file.sha256, row.day) in self.readmissions
            is_inside = is_let_in or file.file_date - DAY <= row.day <= file.file_date
            yield (row, is_inside), row.day if is_inside else file.file_date, is_late

    def described(self, file: SourceFile) -> dict[str, Any]:
        """Return the row of the manifest of a file, as it was delivered."""
        assert file.file_date is not None
        held = [row.day for row in self.files[file.file_date, Path(file.path).stem]]
        inside = [day for day in held if file.file_date - DAY <= day <= file.file_date]
        first = min(inside, default=file.file_date)
        return {"path": file.path, "sha256": file.sha256, "file_date": file.file_date} | {
            "first_data_date": first,
            "last_data_date": file.file_date,
            "rows": len(held),
        }

    def take(self, happening: Happening) -> None:
        """Let something happen."""
        match happening:
            case Deliver(day, name, held):
                self.files[day, name] = held
            case Withdraw(day, name):
                self.files.pop((day, name), None)
            case Readmit(day, name):
                for file in ModelSources(self, tiny_config()[0]).log_files(day):
                    if Path(file.path).stem == name and (file.path, file.sha256) in self.manifest:
                        self._readmit(file)
            case Backfill(first, ends_with):
                self.ends_with = ends_with
                try:
                    run_backfill(Arguments(first, LAST, NAME, allow_empty=True))
                except CutError:
                    event("cut off")
                self.ends_with = 99

    def _readmit(self, file: SourceFile) -> None:
        for (row, _), _, is_late in [*self.dated(file)]:
            if is_late:
                self.readmissions[file.sha256, row.day] = {
                    "source_path": file.path,
                    "source_sha256": file.sha256,
                    "file_date": file.file_date,
                    "selected": BY_RULE,
                    "data_date": row.day,
                }


class ModelSources(Sources):
    """Sources whose files are in memory."""

    def __init__(self, world: World, config: Config) -> None:
        super().__init__(config, world, Path("/"))  # type: ignore[arg-type]
        self.log = ModelLog(world)  # type: ignore[assignment]


class ModelLog:
    """A log whose files are in memory."""

    def __init__(self, world: World) -> None:
        self._world = world

    def of(self, data_date: date) -> list[SourceFile]:
        """Return the files of a date; a file's hash is its rows."""
        return [
            SourceFile(f"log/{day}/{name}", Path(name), _sha256(f"{name}{day}{sorted(held)}"), day)
            for (day, name), held in sorted(self._world.files.items())
            if day == data_date
        ]

    def require(self, data_date: date, allow_missing: bool) -> list[SourceFile]:
        """Return them, if there are any or not."""
        return self.of(data_date)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class ModelJob:
    """A job that makes symbols."""

    def __init__(self, world: World, name: str) -> None:
        self._world, self._name = world, name

    def __call__(self, arguments: Arguments) -> None:
        self._world.run(self._name, arguments.first, arguments.last)

    def __getattr__(self, name: str) -> Any:
        return getattr(all_jobs()[self._name], name)


@contextmanager
def inside(world: World) -> Iterator[None]:
    """Let the backfill act on a world in memory."""

    def count_dates(files: Sequence[SourceFile]) -> list[FileDate]:
        described = [(file, world.described(file)) for file in files]
        return [
            FileDate(file.path, row["file_date"], row[end], 1)
            for file, row in described
            for end in ("first_data_date", "last_data_date")
        ]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backfill, "Project", world.opened)
        patch.setattr(backfill, "all_jobs", lambda: {name: ModelJob(world, name) for name in all_jobs()})
        patch.setattr(backfill, "rows_with_dates", lambda spark, log, files, action, config: files)
        patch.setattr(backfill, "count_dates", count_dates)
        patch.setattr(Sources, "attributes", lambda sources: [])
        yield


def history(world: World) -> None:
    """Run every data step over all dates at once."""
    for job in data_steps():
        first = DAYS[1] if job == "build_examples" else ONE
        world.run(job, first, LAST)
    world.ran.clear()


# --- what holds --------------------------------------------------------------------------------


@given(before_the_first_run, st.lists(happenings, max_size=8))
def test_after_any_order_of_arrival_tables_are_as_if_all_had_been_there(
    files: dict[tuple[date, str], frozenset[Row]], happened: list[Happening]
) -> None:
    world = World(dict(files))
    with inside(world):
        history(world)
        for happening in happened:
            world.take(happening)
        world.ran.clear()
        asked = Arguments(ONE, LAST, NAME, allow_empty=True)

        planned = [(step.job, step.data_date) for step in plan_backfill(asked).steps]
        run_backfill(asked)
        event("something to do" if planned else "nothing to do")

        at_once = World(dict(world.files), readmissions=dict(world.readmissions), is_oracle=True)
        history(at_once)
        assert world.made == at_once.made
        assert sorted(planned) == sorted(world.ran)  # the plan is what runs, no date twice
        assert plan_backfill(asked).steps == ()


@given(before_the_first_run, st.lists(arrivals, min_size=1, max_size=3))
def test_a_backfill_from_the_first_changed_file_on_reaches_back_within_the_horizon_and_no_further(
    files: dict[tuple[date, str], frozenset[Row]], arrived: list[Deliver | Withdraw]
) -> None:
    world = World(dict(files))
    with inside(world):
        history(world)
        for arrival in arrived:
            world.take(arrival)
        first = min(arrival.day for arrival in arrived)
        asked = Arguments(first, LAST, NAME, allow_empty=True)

        planned = [(step.job, step.data_date) for step in plan_backfill(asked).steps]
        run_backfill(asked)

        at_once = World(dict(world.files), is_oracle=True)
        history(at_once)
        assert world.made == at_once.made
        assert sorted(planned) == sorted(world.ran)
        assert all(day >= first - DAY for _, day in world.ran)


def test_a_night_repairs_what_was_corrected_away_and_nothing_that_was_withdrawn() -> None:
    three = DAYS[2]
    before = {(LAST, "a"): frozenset({Row(three, 0), Row(LAST, 0)}), (three, "b"): frozenset({Row(three, 1)})}
    corrected = World(before | {(LAST, "a"): frozenset({Row(LAST, 0)})})
    withdrawn = World({(three, "b"): before[three, "b"]})

    def late(now: World) -> dict[date, str]:
        world = World(dict(before))
        history(world)
        world.files = now.files
        world.run("scan_sources", LAST, LAST)
        planner = Planner(world.opened(Arguments(LAST, LAST, NAME)), [LAST], ["ingest"])
        return {day: reason.text for day, reason in planner.late_dates("ingest", LAST, ONE).items()}

    assert late(corrected) == {three: f"source log/{LAST}/a holds no row of {three} any more"}
    assert late(withdrawn) == {}


def test_dates_go_together_where_they_follow_each_other() -> None:
    assert spans([]) == []
    assert spans([date(2024, 3, 1), date(2024, 2, 29), date(2024, 3, 4)]) == [
        [date(2024, 2, 29), date(2024, 3, 1)],
        [date(2024, 3, 4)],
    ]
