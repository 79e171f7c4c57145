"""Rows that a later file brings reach the tables of their own data date, whichever way dates are run."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from jobs.runtime.night import plan_night, run_history, run_night
from jobs.runtime.pipeline import data_steps
from jobs.tables.digest import digests
from tests.jobs.sample_project import FIRST_LOG_DATE, FIRST_NIGHT, SECOND_NIGHT, SampleProject
from tests.jobs.test_bad_input import rewrite

pytestmark = pytest.mark.slow

DAYS = (FIRST_LOG_DATE, date(2022, 5, 4), date(2022, 5, 5))
LATE = 10
Repaired = tuple[SampleProject, dict[date, set[str]]]
"""A project, and by data date the events that came late."""
TABLES = {"events", "quarantine", "row_balance", "examples", "group_means"} | {
    f"{entity}_{kind}" for entity in ("user", "item") for kind in ("daily", "features", "cohorts")
}


def delay(project: SampleProject, day: date, to: date) -> set[str]:
    """Move the last rows of a file into a later one; return the ids of their events."""
    late = pq.read_table(project.log_file(day)).to_pylist()[-LATE:]
    rewrite(project.log_file(day), lambda rows: rows[:-LATE])
    rewrite(project.log_file(to), lambda rows: [*rows, *late])
    return {f"{row['user_id']}:{row['video_id']}:{row['time_ms']}" for row in late}


def contents(spark: SparkSession, project: SampleProject) -> dict[tuple[str, str], str]:
    found = digests(spark, project.opened().store)
    return {(each.table, each.data_date): each.digest for each in found if each.table in TABLES}


def events_of(project: SampleProject, table: str, day: date) -> set[str]:
    return {row["event_id"] for row in project.opened().store.rows(table, f"data_date = '{day}'")}


def with_late_rows(fresh: SampleProject, folder: Path) -> Repaired:
    """Return the slice with rows of the first two days in the file of the third, and their events by date."""
    project = replace(fresh.copy(folder), extra=("source.events.lateness_days=2",))
    return project, {day: delay(project, day, DAYS[2]) for day in DAYS[:2]}


@pytest.fixture(scope="module")
def night_by_night(
    spark: SparkSession, fresh: SampleProject, tmp_path_factory: pytest.TempPathFactory
) -> Repaired:
    """A log whose last file brings rows of both days before, run one data date after another."""
    project, late = with_late_rows(fresh, tmp_path_factory.mktemp("late"))
    for day in DAYS:
        run_night(project.ask(day), data_steps())
    return project, late


def test_a_night_repairs_the_dates_that_its_file_brings_rows_of(
    night_by_night: Repaired,
) -> None:
    project, late = night_by_night

    assert late[DAYS[0]] <= events_of(project, "events", DAYS[0])
    assert late[DAYS[1]] <= events_of(project, "events", DAYS[1])
    assert late[DAYS[1]] <= events_of(project, "examples", DAYS[1])
    assert not set().union(*late.values()) & events_of(project, "events", DAYS[2])


def test_a_repaired_date_counts_its_late_rows(
    night_by_night: Repaired,
) -> None:
    project, _ = night_by_night
    rows = {row["data_date"]: row["late"] for row in project.opened().store.rows("row_balance")}
    of_files = {
        (row["file_date"], row["data_date"]): row["rows"]
        for row in project.opened().store.rows("source_file_dates")
        if row["file_date"] != row["data_date"]
    }

    assert rows == {DAYS[0]: LATE, DAYS[1]: LATE, DAYS[2]: 0}
    assert of_files == {(DAYS[2], DAYS[0]): LATE, (DAYS[2], DAYS[1]): LATE}


def test_night_by_night_ends_as_a_history_at_once(
    spark: SparkSession,
    fresh: SampleProject,
    night_by_night: Repaired,
    tmp_path: Path,
) -> None:
    at_once, _ = with_late_rows(fresh, tmp_path)
    run_history(at_once.ask(DAYS[0], DAYS[-1]))

    assert contents(spark, night_by_night[0]) == contents(spark, at_once)


def test_after_a_repair_everything_is_up_to_date(
    night_by_night: Repaired,
) -> None:
    project, _ = night_by_night

    steps = run_night(project.ask(DAYS[-1]), data_steps())

    assert [(step.job, step.why) for step in steps if step.dates] == []


def test_a_plan_names_the_file_that_was_delivered_anew(night_by_night: Repaired, tmp_path: Path) -> None:
    project = night_by_night[0].copy(tmp_path)
    rewrite(project.log_file(DAYS[1]), lambda rows: rows[1:])

    steps = {step.job: step for step in plan_night(project.ask(DAYS[-1]))}

    assert steps["ingest"].dates == (DAYS[1], DAYS[2])
    assert steps["build_examples"].dates == (DAYS[1], DAYS[2])
    assert steps["ingest"].why == "repairs 2022-05-04: source log/2022-05-04.parquet changed"


def test_what_was_decided_and_published_stays_after_a_repair(
    spark: SparkSession, used_project: SampleProject
) -> None:
    """Late rows of the first night come with the second: only what a history builds is made anew."""
    store = used_project.opened().store
    of_sets, of_dates = ("training_sets", "encoders", "models"), ("promotions", "scores", "publications")

    def kept() -> dict[str, list[str]]:
        rows = {table: store.rows(table) for table in of_sets}
        rows |= {t: [row for row in store.rows(t) if row["data_date"] == FIRST_NIGHT] for t in of_dates}
        return {table: sorted(map(str, found)) for table, found in rows.items()}

    before, events = kept(), events_of(used_project, "events", FIRST_NIGHT)
    again = pq.read_table(used_project.log_file(FIRST_NIGHT)).to_pylist()[-LATE:]
    late = [row | {"time_ms": row["time_ms"] + 1} for row in again]
    rewrite(used_project.log_file(SECOND_NIGHT), lambda rows: [*rows, *late])
    steps = {step.job: step for step in run_night(used_project.ask(SECOND_NIGHT, model="mfh"))}

    assert len(events_of(used_project, "events", FIRST_NIGHT) - events) == LATE
    assert steps["ingest"].dates == steps["build_examples"].dates == (FIRST_NIGHT, SECOND_NIGHT)
    assert steps["pack"].dates == steps["train"].dates == ()
    assert kept() == before


def test_two_histories_end_as_one(
    spark: SparkSession,
    fresh: SampleProject,
    night_by_night: Repaired,
    tmp_path: Path,
) -> None:
    in_two, _ = with_late_rows(fresh, tmp_path)
    run_history(in_two.ask(DAYS[0], DAYS[1]))
    run_history(in_two.ask(DAYS[2], DAYS[2]))

    assert contents(spark, night_by_night[0]) == contents(spark, in_two)


def test_changed_attributes_are_no_late_rows(night_by_night: Repaired, tmp_path: Path) -> None:
    project = night_by_night[0].copy(tmp_path)
    rewrite(project.source / "user_features.parquet", lambda rows: rows[1:])

    steps = {step.job: step.dates for step in plan_night(project.ask(DAYS[-1]))}

    assert steps["ingest"] == (DAYS[2],)  # and no earlier date


def test_a_file_that_is_archived_leaves_its_date_as_it_was(night_by_night: Repaired, tmp_path: Path) -> None:
    project = night_by_night[0].copy(tmp_path)
    before = events_of(project, "events", DAYS[1])
    project.log_file(DAYS[1]).unlink()

    run_night(project.ask(DAYS[2], allow_empty=True), data_steps())

    assert events_of(project, "events", DAYS[1]) == before
