"""A backfill ends with the tables of a run that had all files from the start, and says what it will do."""

import json
import shutil
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from core.errors import BlockedError, ConfigError, LamplighterError
from jobs.runtime.arguments import Arguments
from jobs.runtime.backfill import Redo, plan_backfill, run_backfill, up_to_newest
from jobs.runtime.night import run_history, run_night
from jobs.runtime.project import Project
from jobs.runtime.quarantine import (
    QuarantineCount,
    count_quarantine,
    readmit,
    readmit_rows,
    rows_in_quarantine,
)
from jobs.tables.digest import digests
from tests.tiny_log import DAYS, NAME, Row, deliver, withdraw, write_tiny_project

ONE, TWO, THREE, FOUR = DAYS
RECORDS = {"source_files", "readmissions", "quality_results"}
"""Tables that say what was offered, decided and checked on the way: they differ by the way."""


def settings(warehouse: Path) -> tuple[str, ...]:
    return (
        f"paths.warehouse={warehouse}",
        "runtime.spark={spark.master: 'local[2]', spark.sql.shuffle.partitions: '1', "
        "spark.sql.adaptive.enabled: 'false'}",
        f"paths.reports={warehouse}/reports",
    )


def ask(folder: Path, first: date = ONE, last: date = FOUR, allow_empty: bool = False) -> Arguments:
    """Arguments of a project whose warehouse is in its folder."""
    of_folder = settings(folder / "warehouse")
    return Arguments(first, last, NAME, settings=of_folder, allow_empty=allow_empty, project=folder)


def at(day: date, hour: int = 9) -> datetime:
    return datetime(day.year, day.month, day.day, hour)


def elsewhere(asked: Arguments, warehouse: Path) -> Arguments:
    """The same in another warehouse, in which nothing has run; what people have re-admitted is there."""
    other = replace(asked, settings=settings(warehouse))
    trail = Project(asked).catalog.path("readmissions")
    if trail.exists():
        shutil.copytree(trail, Project(other).catalog.path("readmissions"))
    return other


def on_time(spark: SparkSession, asked: Arguments, warehouse: Path) -> dict[tuple[str, str], str]:
    """The digests of a history over the files as they are now, in a warehouse of its own."""
    other = elsewhere(asked, warehouse)
    run_history(other)
    return contents(spark, other)


def contents(spark: SparkSession, asked: Arguments) -> dict[tuple[str, str], str]:
    found = digests(spark, Project(asked).store)
    return {(each.table, each.data_date): each.digest for each in found if each.table not in RECORDS}


def of_steps(steps: tuple[Redo, ...]) -> dict[str, dict[date, str]]:
    found: dict[str, dict[date, str]] = {}
    for step in steps:
        found.setdefault(step.job, {})[step.data_date] = step.why
    return found


def rows_of(day: date, users: str = "abc", hour: int = 9) -> list[Row]:
    """One row per user, the first of them clicks."""
    return [(user, "x", at(day, hour), int(n == 0)) for n, user in enumerate(users)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project whose log has one file per date, and nothing run."""
    made = write_tiny_project(tmp_path / "project")
    for day in DAYS:
        deliver(made, day, "a", rows_of(day))
    return made


@pytest.mark.slow
def test_late_corrected_withdrawn_and_readmitted_rows_end_as_if_all_had_been_there(
    spark: SparkSession, folder: Path, tmp_path: Path
) -> None:
    too_late, wrong = ("late", "y", at(ONE), 1), ("wrong", "y", at(ONE, 10), "?")
    deliver(folder, FOUR, "a", [*rows_of(FOUR), too_late, wrong, ("odd", "y", at(FOUR), "?")])
    deliver(folder, THREE, "b", [*rows_of(THREE, "de"), ("late", "y", at(TWO), 1)])
    run_history(ask(folder))

    corrected_and_new(folder)
    withdrawn(folder)
    let_in(folder)

    assert contents(spark, ask(folder)) == on_time(spark, ask(folder, allow_empty=True), tmp_path / "w")
    assert not any(step.dates for step in run_backfill(ask(folder)))
    assert plan_backfill(ask(folder)).steps == ()


def corrected_and_new(folder: Path) -> None:
    """A file is corrected and brings a row of the day before, another is new: what is listed is what runs."""
    late: Row = ("late", "y", at(TWO, 23), 1)
    deliver(folder, THREE, "a", [*rows_of(THREE), late])
    deliver(folder, TWO, "b", rows_of(TWO, "de", hour=10))

    plan = plan_backfill(ask(folder))
    steps = {step.job: step.dates for step in run_backfill(ask(folder)) if step.dates}

    found = of_steps(plan.steps)
    assert found["scan_sources"] == {
        TWO: f"source log/{TWO}/b.csv is new",
        THREE: f"source log/{THREE}/a.csv changed",
    }
    assert {day: {*why.split(", ")} for day, why in found["ingest"].items()} == {
        TWO: {
            "source_files will change",
            f"source log/{TWO}/b.csv is new",
            f"source log/{THREE}/a.csv is new",
        },
        THREE: {"source_files will change", f"source log/{THREE}/a.csv changed"},
    }
    assert list(found["build_features"]) == [TWO, THREE, FOUR]  # the last continues the state of those before
    assert f"user_features as of {THREE} will change" in found["build_examples"][FOUR]
    assert {job: tuple(days) for job, days in found.items()} == steps
    assert plan.later == ()  # no night has run
    assert all(step.rows > 0 and step.seconds > 0 for step in plan.steps if step.job == "build_features")


def withdrawn(folder: Path) -> None:
    """A file takes its rows along, those of the day before, too; a date without rows is blocked."""
    withdraw(folder, THREE, "b")
    withdraw(folder, ONE, "a")

    plan = of_steps(plan_backfill(ask(folder)).steps)
    with pytest.raises(BlockedError, match=f"no acceptable event of data date {ONE}.*--allow-empty"):
        run_backfill(ask(folder))
    run_backfill(ask(folder, allow_empty=True))

    assert plan["scan_sources"][THREE] == f"source log/{THREE}/b.csv was withdrawn"
    assert f"source log/{THREE}/b.csv was withdrawn" in plan["ingest"][TWO]
    store = Project(ask(folder)).store
    assert store.rows("events", f"data_date = '{ONE}'") == []
    hours = {row["event_time"].hour for row in store.rows("events", f"data_date = '{TWO}'")}
    assert hours == {9, 10, 23}  # its own files, and the corrected one
    messages = [row["message"] for row in store.rows("runs") if row["job"] == "scan_sources"]
    assert any(f"log/{THREE}/b.csv was withdrawn: its 3 rows of {TWO}..{THREE} go" in m for m in messages)


def let_in(folder: Path) -> None:
    """Rows later than the horizon are let in by a person; what is wrong beside stays in quarantine."""
    project, not_click = Project(ask(folder)), "is_click_not_null"
    assert count_quarantine(project) == [
        QuarantineCount(FOUR, not_click, 2, 1, 0),
        QuarantineCount(FOUR, "too_late", 2, 1, 0),
    ]
    [shown] = [row for row in rows_in_quarantine(project, FOUR, "too_late", 9) if "late" in row["raw_row"]]
    received = {"user": "late", "item": "y", "at": f"{ONE} 09:00:00", "clicked": "1"}
    assert json.loads(shown["raw_row"]) == received | {"_corrupt_record": None}
    with pytest.raises(LamplighterError, match=f"quarantine {FOUR}: no row that failed odd; .*too_late"):
        readmit(project, FOUR, "odd", "why not")
    with pytest.raises(ConfigError, match="--reason is empty"):
        readmit(project, FOUR, "too_late", " ")
    with pytest.raises(LamplighterError, match="no row a:1; expected ids"):
        readmit_rows(project, ["a:1"], "a typing error")

    done = readmit(project, FOUR, "too_late", "the phone was offline")
    again = readmit_rows(Project(ask(folder)), [shown["source_row_id"]], "the same row, by itself")
    assert (done.rows, done.first, done.is_new, again.rows) == ({ONE: 2}, ONE, True, {ONE: 1})
    assert not readmit(project, FOUR, "too_late", "once more").is_new
    plan = of_steps(plan_backfill(ask(folder)).steps)
    run_backfill(ask(folder))  # the first date has an event again

    assert f"re-admission of rule too_late of log/{FOUR}/a.csv is new" in plan["ingest"][ONE]
    assert set(plan["ingest"]) == {ONE, FOUR}
    store = Project(ask(folder)).store
    assert [row["user_id"] for row in store.rows("events", f"data_date = '{ONE}'")] == ["late"]
    assert {row["late"] for row in store.rows("row_balance") if row["data_date"] == ONE} == {2}
    kept = store.rows("quarantine")
    left = {(row["data_date"], *row["failed_rules"]): row["readmitted_by"] for row in kept}
    assert left == {(ONE, not_click): done.run_id, (FOUR, not_click): None}  # wrong stays wrong
    trail = store.rows("readmissions")
    assert {(row["selected"], row["reason"], row["rows"]) for row in trail} == {
        ("rule too_late", "the phone was offline", 2),
        ("row 3", "the same row, by itself", 1),
    }


@pytest.mark.slow
def test_published_lists_stay_unless_they_are_asked_for_again(
    spark: SparkSession, folder: Path, tmp_path: Path
) -> None:
    asked = ask(folder)
    nights(asked)
    before = served(asked)
    deliver(folder, TWO, "a", rows_of(TWO, "ab"))  # corrected: clicks per row, which lists go by

    later = {(step.job, step.data_date) for step in plan_backfill(asked).later}
    run_backfill(asked)
    after_backfill = served(asked)
    steps = run_backfill(asked, rescore=True)
    again = served(asked)

    assert {("score", THREE), ("score", FOUR), ("publish", FOUR)} <= later
    assert after_backfill == before
    ran = {step.job for step in steps if step.dates}
    assert ran <= {"build_pools", "score", "publish", "look_back", "report"}
    assert again["publications"][: len(before["publications"])] == before["publications"]
    assert len(again["publications"]) == len(before["publications"]) + 1  # of the last night alone
    other = elsewhere(asked, tmp_path / "w")
    nights(other)
    assert again["scores"] == served(other)["scores"] != before["scores"]
    assert not any(step.dates for step in run_backfill(asked, rescore=True))


def nights(asked: Arguments) -> None:
    """A history, then two nights without training: the baseline makes the lists."""
    run_history(replace(asked, last=TWO))
    for day in (THREE, FOUR):
        run_night(replace(asked, first=day, last=day))


def served(asked: Arguments) -> dict[str, list[str]]:
    project = Project(asked)
    return {
        name: sorted(str([row[c] for c in project.catalog[name].content]) for row in project.store.rows(name))
        for name in ("scores", "publications")
    }


def test_the_end_is_the_newest_date_that_was_ingested(folder: Path) -> None:
    with pytest.raises(ConfigError, match="no data date since then was ever built"):
        up_to_newest(ask(folder, ONE, ONE))
