"""Bad input ends in one clear line and an exit code, or in quarantine; never in silence."""

import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from core.errors import BlockedError, LamplighterError
from core.paths import local_path
from jobs.build_features import build_features
from jobs.build_pools import build_pools
from jobs.check import check
from jobs.fit_group_means import fit_group_means
from jobs.ingest import ingest
from jobs.label_cohorts import label_cohorts
from jobs.publish import publish
from jobs.runtime.run import Run
from jobs.scan_sources import scan_sources
from jobs.score import score
from jobs.tables.ledger import new_run_id
from tests.jobs.sample_project import FIRST_NIGHT, SampleProject
from tests.jobs.tables.test_locks import hold_elsewhere

DAY = date(2022, 5, 3)  # the first date of the slice: nothing is needed before it
AFTER_THE_LAST = date(2022, 5, 9)


def rewrite(file: Path, change: Any) -> None:
    """Put the rows of a Parquet file through a function of dicts."""
    table = pq.read_table(file)
    pq.write_table(pa.Table.from_pylist(change(table.to_pylist()), schema=table.schema), file)


def take_in(project: SampleProject, day: date) -> Run:
    """Scan the source of a date, then ingest it."""
    scan_sources(project.ask(day))
    return ingest(project.ask(day))


def refusal(project: SampleProject, day: date = DAY) -> str:
    """What ingest says when it refuses a date; the events table stays as it was."""
    before = project.opened().store.version("events")
    with pytest.raises(LamplighterError) as error:
        take_in(project, day)
    assert project.opened().store.version("events") == before
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_missing_column_is_named_with_its_file(spark: SparkSession, project: SampleProject) -> None:
    table = pq.read_table(project.log_file(DAY))
    pq.write_table(table.drop_columns(["long_view"]), project.log_file(DAY))

    assert "log/2022-05-03.parquet: columns ['long_view'] are missing" in refusal(project)


def test_a_missing_source_file_is_named(spark: SparkSession, project: SampleProject) -> None:
    project.log_file(DAY).unlink()

    assert "log/2022-05-03.parquet: source file is missing (the last is of 2022-05-08)" in refusal(project)


def test_a_missing_attribute_file_is_named(spark: SparkSession, project: SampleProject) -> None:
    (project.source / "user_features.parquet").unlink()

    assert "user_features.parquet: attribute file is missing" in refusal(project)


def test_a_truncated_file_is_named(spark: SparkSession, project: SampleProject) -> None:
    content = project.log_file(DAY).read_bytes()
    project.log_file(DAY).write_bytes(content[: len(content) // 2])

    assert "log/2022-05-03.parquet: no readable Parquet file" in refusal(project)


def test_a_file_that_is_no_parquet_is_named(spark: SparkSession, project: SampleProject) -> None:
    project.log_file(DAY).write_text("user_id,video_id\n1,2\n")

    assert "log/2022-05-03.parquet: no readable Parquet file" in refusal(project)


def test_a_file_with_another_days_rows_is_not_what_its_name_says(
    spark: SparkSession, project: SampleProject
) -> None:
    shutil.copy(project.log_file(date(2022, 5, 6)), project.log_file(DAY))

    assert "not what its name says" in refusal(project)
    assert "2022-05-06" in refusal(project)


def test_a_date_after_the_last_file_says_which_the_last_is(
    spark: SparkSession, project: SampleProject
) -> None:
    assert "data date 2022-05-09 is after the last file, of 2022-05-08" in refusal(project, AFTER_THE_LAST)


def test_a_date_without_events_is_blocked(spark: SparkSession, project: SampleProject) -> None:
    rewrite(project.log_file(DAY), lambda rows: [])

    with pytest.raises(BlockedError, match="no acceptable event of data date 2022-05-03") as error:
        take_in(project, DAY)

    assert error.value.exit_code == 3
    assert "--allow-empty" in str(error.value)


def test_an_empty_date_may_be_allowed_and_is_scored_as_of_itself(
    spark: SparkSession, used_project: SampleProject
) -> None:
    ask = used_project.ask(AFTER_THE_LAST, allow_empty=True)
    before_lists = scan_sources, ingest, check, build_features, label_cohorts, fit_group_means, build_pools
    for job in (*before_lists, score, publish):
        job(ask)

    store = used_project.opened().store
    tonight = store.rows("user_features", "data_date = '2022-05-09'")
    before = {row["user_id"]: row for row in store.rows("user_features", "data_date = '2022-05-08'")}
    assert len(tonight) == len(before)
    for row in tonight:
        known = before[row["user_id"]]
        assert row["user_impression_count_all"] == known["user_impression_count_all"]
        assert row["user_impression_count_1d"] == 0
    assert len(store.rows("scores", "data_date = '2022-05-09'")) == 5 * len(tonight)


def test_bad_rows_go_to_quarantine_with_every_rule_that_they_failed(
    spark: SparkSession, project: SampleProject
) -> None:
    def spoil(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        noon = int(datetime(2022, 5, 3, 4, tzinfo=UTC).timestamp() * 1000)  # 12:00 in Shanghai
        base = rows[0] | {"time_ms": noon}
        twice = base | {"video_id": 77, "is_click": 1, "play_time_ms": 9000}
        days = 24 * 3600 * 1000
        return [
            *rows,
            base | {"user_id": None, "video_id": 70},
            base | {"video_id": 71, "play_time_ms": -5},
            base | {"video_id": 72, "is_like": 2},
            base | {"video_id": 73, "time_ms": noon - 3 * days},
            base | {"video_id": 74, "time_ms": noon + 2 * days},
            base | {"video_id": 75, "time_ms": None},
            base | {"user_id": None, "video_id": 76, "is_click": 7},
            base | {"video_id": 78, "time_ms": 2**62},
            twice,
            twice | {"play_time_ms": 100, "is_click": 0},
            twice,
        ]

    sound = pq.read_table(project.log_file(DAY)).num_rows
    rewrite(project.log_file(DAY), spoil)
    take_in(project, DAY)

    found = {
        json.loads(row["raw_row"])["video_id"]: set(row["failed_rules"])
        for row in project.opened().store.rows("quarantine")
        if json.loads(row["raw_row"])["video_id"] in range(70, 79)
    }
    assert found == {
        70: {"user_id_not_null"},
        71: {"play_seconds_between"},
        72: {"is_like_in_set"},
        73: {"too_late"},
        74: {"after_its_file"},
        75: {"event_time_not_null"},
        76: {"user_id_not_null", "is_click_in_set"},
        77: {"conflicting_event"},
        78: {"event_time_not_null"},
    }
    (balance,) = project.opened().store.rows("row_balance", f"data_date = '{DAY}'")
    assert balance["read"] == sound + 11
    assert balance["read"] == sum(balance[n] for n in ("accepted", "duplicates", "conflicts", "failed"))
    kept = [row for row in project.opened().store.rows("events") if row["item_id"] == 77]
    assert [float(row["play_seconds"]) for row in kept] == [9.0]  # the longer play stays


def test_too_many_bad_rows_block_the_date(spark: SparkSession, project: SampleProject) -> None:
    rewrite(project.log_file(DAY), lambda rows: [row | {"user_id": None} for row in rows])

    with pytest.raises(BlockedError, match="user_id"):
        take_in(project, DAY)


@pytest.mark.slow
def test_users_of_which_a_file_is_lost_are_taken_in_again(
    spark: SparkSession, project: SampleProject
) -> None:
    take_in(project, DAY)
    store = project.opened().store
    users = store.rows("users")
    version = store.version("users")
    ingest(project.ask(DAY))
    assert store.version("users") == version  # made of the same file: left as it is

    store.files("users")[0].unlink()
    ingest(project.ask(DAY))
    assert sorted(map(str, store.rows("users"))) == sorted(map(str, users))


def test_a_job_says_which_job_must_come_first(spark: SparkSession, project: SampleProject) -> None:
    with pytest.raises(LamplighterError) as error:
        score(project.ask(FIRST_NIGHT))

    assert str(error.value) == (
        "score 2022-05-07: build_features is not done for data date 2022-05-07, which score reads; "
        "run `lamplighter build_features --data-date 2022-05-07` first, or `lamplighter history` over all "
        "data dates that the ledger lacks"
    )


def test_without_a_champion_lists_are_those_of_the_group_means(
    spark: SparkSession, used_project: SampleProject
) -> None:
    day = date(2022, 5, 6)
    for job in (build_pools, score, publish):
        job(used_project.ask(day))

    store = used_project.opened().store
    rows = store.rows("scores", f"data_date = '{day}'")
    assert {row["model_version"] for row in rows} == {"group_mean"}
    assert {row["user_id"] for row in rows} == {row["user_id"] for row in store.rows("users")}
    lists = {(row["cohort"], row["rank"], row["item_id"]) for row in rows if row["rank"] < 5}
    assert len(lists) == 4 * len({row["cohort"] for row in rows})  # one list per cohort
    drawn = [row for row in rows if row["rank"] == 5]  # the place that is kept for new items
    assert {row["placement_probability"] < 1 for row in drawn} == {True}
    assert len({row["item_id"] for row in drawn}) > 1


def test_a_bundle_that_no_longer_fits_is_refused(spark: SparkSession, used_project: SampleProject) -> None:
    ask = used_project.ask(FIRST_NIGHT)
    other = type(ask)(
        ask.first,
        ask.last,
        settings=(*ask.settings, "cohorts.user.default=busy", "cohorts.user.rollups={old: [low, busy]}"),
    )

    with pytest.raises(LamplighterError) as error:
        score(other)

    assert "does not fit the tables any more: values of user_cohort are ['new', 'low', 'busy']" in str(
        error.value
    )


def test_a_second_writer_is_refused_while_one_is_at_work(spark: SparkSession, project: SampleProject) -> None:
    scan_sources(project.ask(DAY))
    first = hold_elsewhere(local_path(project.opened().catalog.root) / "_locks" / "events.lock")
    try:
        with pytest.raises(LamplighterError, match=r"events: another writer is at work \(run 20220507-a"):
            ingest(project.ask(DAY))
    finally:
        first.kill()
        first.wait()

    ingest(project.ask(DAY))


def test_run_ids_sort_by_time() -> None:
    assert new_run_id() < new_run_id()
