"""Pools and lists of a whole night: of a slice of the embedded log, and of a log with lists of many kinds."""

import re
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from core import load
from core.errors import LamplighterError
from jobs.build_pools import build_pools
from jobs.runtime.night import plan_night, run_history, run_night
from jobs.runtime.project import Project
from tests.jobs.sample_project import SECOND_NIGHT, SampleProject
from tests.jobs.test_backfill import ask, at
from tests.tiny_log import DAYS, NAME, Row, deliver, write_tiny_project

ONE, TWO, THREE, _ = DAYS

LISTS = """lists:
  home:
    context: {}
    pool:
      - {source: most_shown, items: 3, window: 2d}
      - {source: file, path: "picks-{data_date}.csv", format: csv, item: lower(name)}
    where: item_id <> 'never'
    seen_days: 1
    ranking: {click: 1.0}
    top_k: 4
    new_items: {cohort: fresh, share: 0.25}
  liked:
    context: {}
    pool: [{source: most_liked, task: click, days: 2, items: 1}]
    ranking: {click: 2.0}
    top_k: 3
"""


def test_lists_come_from_their_pools_and_keep_places_for_new_items(
    spark: SparkSession, after_two_nights: SampleProject
) -> None:
    project = after_two_nights.opened(SECOND_NIGHT)
    declared = project.config.lists["home"]
    of_night = F.col("data_date") == SECOND_NIGHT
    scores = project.store.read(spark, "scores").where(of_night)
    pools = project.store.read(spark, "pools").where(of_night)
    members = pools.select("list", F.col("user_cohort").alias("cohort"), "item_id")

    assert scores.join(members, on=["list", "cohort", "item_id"], how="left_anti").isEmpty()
    rows = scores.toPandas()
    assert {
        *rows.groupby("user_id")["rank"].apply(
            lambda ranks: [*ranks.sort_values()] == [*range(1, len(ranks) + 1)]
        )
    } == {True}
    # one of five places is kept for new items
    cohorts = project.store.read(spark, "item_cohorts").where(of_night)
    new = {row["item_id"] for row in cohorts.where("cohort = 'new'").collect()}
    drawn = rows[rows["placement_probability"] < 1]
    assert declared.new_places == 1
    assert {*drawn["rank"]} == {declared.top_k}
    assert {*drawn["item_id"]} <= new


def tiny_project(folder: Path) -> Path:
    project = write_tiny_project(folder)
    file = project / "conf" / "datasets" / f"{NAME}.yaml"
    file.write_text(re.sub(r"lists:\n.*", LISTS, file.read_text(), flags=re.DOTALL))
    load._read.cache_clear()
    rows: list[Row] = []
    for user, items in {"a": "xyz", "b": "xxyw", "c": "x"}.items():
        rows += [(user, item, at(TWO, 1 + n), int(item == "y")) for n, item in enumerate(items)]
    deliver(project, ONE, "all", [("a", "never", at(ONE), 1)])
    deliver(project, TWO, "all", rows)
    deliver(project, THREE, "all", [("a", "x", at(THREE), 1), ("d", "w", at(THREE), 0)])
    (project / "data" / f"picks-{TWO}.csv").write_text("name,why\nZ,nice\nNEVER,bad\nunknown,\n")
    return project


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return tiny_project(tmp_path)


def lists_of(project: Project, day: object) -> dict[tuple[str, str], list[str]]:
    rows = project.store.rows("scores", f"data_date = '{day}'")
    found: dict[tuple[str, str], list[str]] = {}
    for row in sorted(rows, key=lambda row: (row["list"], row["user_id"], row["rank"])):
        found.setdefault((row["list"], row["user_id"]), []).append(row["item_id"])
    return found


def test_named_lists_with_files_seen_items_and_places_for_new_items(spark: SparkSession, tiny: Path) -> None:
    run_history(ask(tiny, ONE, ONE))
    run_night(ask(tiny, TWO, TWO))
    project = Project(ask(tiny, TWO, TWO))

    pools = {
        (row["list"], row["user_cohort"], row["item_id"]): row["sources"]
        for row in project.store.rows("pools", f"data_date = '{TWO}'")
    }
    home = {"x": ["most_shown"], "y": ["most_shown"], "w": ["most_shown"], "z": ["file"]}
    expected = {("home", cohort, item): s for cohort in ("guest", "regular") for item, s in home.items()}
    # users of two clicks on y: a and b, who are regular; the one of c is a guest's of nothing
    expected |= {("liked", "regular", "y"): ["most_liked"]}
    assert pools == expected
    served = lists_of(project, TWO)
    assert served["home", "a"] == ["w"]  # has seen x, y and z
    assert {*served["home", "b"]} == {"z"}
    assert {*served["home", "c"]} == {"y", "z", "w"}
    assert served["liked", "a"] == served["liked", "b"] == ["y"]
    assert ("liked", "c") not in served


def test_a_changed_file_makes_the_pool_and_the_lists_again_and_a_missing_one_says_so(
    spark: SparkSession, tiny: Path
) -> None:
    run_history(ask(tiny, ONE, ONE))
    run_night(ask(tiny, TWO, TWO))
    assert not [step for step in plan_night(ask(tiny, TWO, TWO)) if step.dates]

    (tiny / "data" / f"picks-{TWO}.csv").write_text("name\nw\n")
    again = [step for step in plan_night(ask(tiny, TWO, TWO)) if step.dates]

    assert [step.job for step in again][:2] == ["build_pools", "score"]
    assert "picks-{data_date}.csv" in again[0].why
    run_night(ask(tiny, TWO, TWO))
    assert "z" not in {
        item for items in lists_of(Project(ask(tiny, TWO, TWO)), TWO).values() for item in items
    }
    (tiny / "data" / f"picks-{TWO}.csv").unlink()
    with pytest.raises(LamplighterError, match="a pool's file is missing in data/; expected csv with"):
        build_pools(ask(tiny, TWO, TWO))
