"""The awkward log through a history and two nights, against a count of its rows in plain Python."""

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from core.load import PROJECT_DIR
from core.paths import exists
from jobs.runtime.arguments import Arguments
from jobs.runtime.night import run_history, run_night
from jobs.runtime.pipeline import data_steps
from jobs.runtime.project import Project
from jobs.tables.digest import digests
from tests.awkward_oracle import Expected, expected, versions
from tests.jobs.small_settings import SMALL
from tools.write_awkward import FIRST, LAST, files, write

DATA = PROJECT_DIR / "data" / "awkward"
TABLES = {"events", "quarantine", "row_balance", "action_balance", "users", "examples", "group_means"} | {
    f"{entity}_{kind}" for entity in ("user", "item") for kind in ("daily", "features", "cohorts")
}
DAYS = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]


def arguments(folder: Path) -> Arguments:
    """A project of one's own on the embedded files."""
    if not (folder / "conf").exists():
        shutil.copytree(PROJECT_DIR / "conf", folder / "conf")
        (folder / "data").mkdir()
        (folder / "data" / "awkward").symlink_to(DATA)
    return Arguments(FIRST, LAST, dataset="awkward", settings=SMALL, project=folder)


@pytest.fixture(scope="module")
def oracle() -> Expected:
    return expected(DATA)


@pytest.fixture(scope="module")
def nights(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A history up to the training night, and two nights."""
    ask = arguments(tmp_path_factory.mktemp("nights"))
    run_history(replace(ask, last=LAST - timedelta(days=2)))
    for day in DAYS[-2:]:
        run_night(replace(ask, first=day, last=day))
    return Project(replace(ask, first=LAST))


def test_the_files_are_those_that_the_script_writes(tmp_path: Path) -> None:
    made = dict(files())

    assert set(made) == {path.relative_to(DATA).as_posix() for path in DATA.rglob("*.gz")}
    for path, rows in made.items():
        write(tmp_path / "file.csv.gz", rows)
        assert (tmp_path / "file.csv.gz").read_bytes()[10:] == (DATA / path).read_bytes()[10:], path


def test_the_log_holds_what_makes_it_awkward(oracle: Expected) -> None:
    rules = {rule for _, rule in oracle.rules}

    assert rules == {"no_impression", "too_late", "unreadable_action", "order_value_out_of_range"}
    assert all(oracle.attributed[day] for day in DAYS)
    assert sum(oracle.duplicates.values()) > 5
    assert max(view.orders for view in oracle.views.values()) > 1
    moved = [view for view in oracle.views.values() if view.delivered > view.date]
    assert len(moved) > 20


@pytest.mark.slow
def test_events_and_their_orders_are_those_of_the_rows(nights: Project, oracle: Expected) -> None:
    for day in DAYS:
        rows = nights.store.rows("events", f"data_date = '{day}'")
        found = {r["event_id"]: (r["has_ordered"], r["order_value"], r["dwell_seconds"]) for r in rows}
        wanted = {
            event_id: (int(view.orders > 0), view.value, view.dwell)
            for (of, event_id), view in oracle.views.items()
            if of == day
        }
        assert found == wanted, day


@pytest.mark.slow
def test_rows_balance(nights: Project, oracle: Expected) -> None:
    views = {
        row["data_date"]: (row["read"], row["accepted"], row["failed"])
        for row in nights.store.rows("row_balance")
    }
    accepted = Counter(day for day, _ in oracle.views)
    assert views == {day: (oracle.read[day], accepted[day], oracle.failed[day]) for day in DAYS}

    orders = {row["data_date"]: row for row in nights.store.rows("action_balance")}
    for day in DAYS:
        failed = sum(count for (of, _), count in oracle.rules.items() if of == day)
        found = {name: orders[day][name] for name in ("read", "attributed", "duplicates", "failed")}
        assert found == {
            "read": oracle.offered[day],
            "attributed": oracle.attributed[day],
            "duplicates": oracle.duplicates[day],
            "failed": failed,
        }, day
    rejected = [row for day in DAYS for row in nights.store.rows("quarantine", f"data_date = '{day}'")]
    of_orders = [row for row in rejected if row["source_path"].startswith("orders/")]
    assert Counter((row["data_date"], *row["failed_rules"]) for row in of_orders) == oracle.rules
    assert len(rejected) == sum(oracle.failed.values()) + sum(oracle.rules.values())


@pytest.mark.slow
def test_each_known_visitor_has_a_list_and_the_attributes_of_the_date(nights: Project) -> None:
    users = nights.store.rows("users")
    found = {
        (r["user_id"], r["valid_from"], r["valid_to"], r["user_country"], r["user_level"]) for r in users
    }
    assert found == versions(DATA)

    features = {r["user_id"]: r for r in nights.store.rows("user_features", f"data_date = '{LAST}'")}
    current = {v: (country, level) for v, _, until, country, level in found if until is None}
    assert {u: (r["user_country"], r["user_level"]) for u, r in features.items() if u in current} == current
    assert current.keys() <= features.keys()
    lists = nights.store.rows("scores", f"data_date = '{LAST}'")
    assert {row["user_id"] for row in lists} == features.keys()
    assert len(lists) == 5 * len(features)
    assert exists(nights.report_uri(f"{LAST}.html"))


@pytest.mark.slow
def test_a_history_at_once_ends_as_the_nights(spark: SparkSession, nights: Project, tmp_path: Path) -> None:
    ask = arguments(tmp_path)
    run_history(ask)

    def contents(project: Project) -> dict[tuple[str, str], str]:
        return {(e.table, e.data_date): e.digest for e in digests(spark, project.store) if e.table in TABLES}

    assert contents(nights) == contents(Project(ask))
    again = run_night(replace(ask, first=LAST), data_steps())
    assert [(step.job, step.why) for step in again if step.dates] == []


def test_clocks_go_forward_inside_of_the_log() -> None:
    assert date(2024, 3, 10) in DAYS
