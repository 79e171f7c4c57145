"""A feature that is declared after several nights ends as if it had been declared from the start."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from core import load
from core.errors import ConfigError
from jobs.label_cohorts import label_cohorts
from jobs.runtime.arguments import Arguments
from jobs.runtime.backfill import plan_backfill, run_backfill
from jobs.runtime.night import plan_night, run_history, run_night
from jobs.runtime.project import Project
from jobs.tables.digest import digest_table
from tests.jobs.test_backfill import ask, at, of_steps, settings
from tests.tiny_log import DAYS, NAME, Row, deliver, write_tiny_project

ONE, TWO, THREE, FOUR = DAYS
TABLES = ("user_daily", "item_daily", "user_features", "item_features", "examples")
Digests = dict[tuple[str, date], str]

OLD = "  item:\n    aggregates:\n      - {name: view_count, agg: count, windows: [2d, all]}\n"
NEW_OF_ITEMS = (
    "      - {name: user_count, agg: distinct, of: user_id, windows: [2d]}\n"
    "      - {name: last_user, agg: last, of: user_id, windows: [all]}\n"
    "      - {name: click_count, agg: sum, of: is_click, where: user_id <> 'b', windows: [2d, all]}\n"
    "    rates:\n"
    "      - {name: click_rate, of: click_count, per: view_count, windows: [all]}\n"
)
NEW_GROUP = (
    "  hour:\n    key: hour_of_day\n"
    "    aggregates:\n      - {name: view_count, agg: count, windows: [2d, all]}\n"
)


def declare(folder: Path, *changes: tuple[str, str]) -> None:
    """Change the data set's YAML."""
    file = folder / "conf" / "datasets" / f"{NAME}.yaml"
    text = file.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    file.write_text(text, encoding="utf-8")
    load._read.cache_clear()  # which takes a project's files for constant


VIEWS = "      - {name: view_count, agg: count, windows: [2d, all]}\n"
CLICKS = "      - {name: click_count, agg: sum, of: is_click, windows: [2d, all]}\n"
RATE = "    rates:\n      - {name: click_rate, of: click_count, per: view_count, windows: [all]}\n"

WITH_HOUR = (
    (
        "      event_time: {from: at",
        "      hour_of_day: {from: 'hour(at)', type: int}\n      event_time: {from: at",
    ),
    ("    context: {}", "    context: {hour_of_day: 9}"),
)
"""A context column, which a group can have for a key."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four data dates, on which users come and go; nothing run."""
    made = write_tiny_project(tmp_path / "project")
    declare(made, *WITH_HOUR)
    for day, users in zip(DAYS, ("ab", "bcd", "ac", "abd"), strict=True):
        rows: list[Row] = [
            (user, "xy"[n % 2], at(day, 8 + n), int(user in "bc")) for n, user in enumerate(users)
        ]
        deliver(made, day, "a", [*rows, ("a", "x", at(day, 22), 1)])
    return made


def columns_of(asked: Arguments, table: str) -> tuple[str, ...]:
    return tuple(Project(asked).catalog[table].columns)


def digests(spark: SparkSession, asked: Arguments, columns: Mapping[str, tuple[str, ...]]) -> Digests:
    """Return (table, data date) -> digest of some columns."""
    project, found = Project(asked), Digests()
    for table, names in columns.items():
        declared = project.catalog[table]
        kept = replace(declared, columns={name: declared.columns[name] for name in names})
        for each in digest_table(project.store.read(spark, table), kept):
            found[table, date.fromisoformat(each.data_date)] = each.digest
    return found


def at_once(asked: Arguments, warehouse: Path) -> Arguments:
    """A history with the declaration as it is now, in a warehouse of its own."""
    other = replace(asked, settings=settings(warehouse))
    run_history(other)
    return other


def since(found: Digests, first: date) -> Digests:
    return {key: digest for key, digest in found.items() if key[1] >= first}


@pytest.mark.slow
def test_a_feature_added_after_several_nights_is_filled_in_over_a_range(
    spark: SparkSession, folder: Path, tmp_path: Path
) -> None:
    asked = ask(folder, ONE, THREE)
    run_history(asked)
    old = {table: columns_of(asked, table) for table in TABLES}
    before = digests(spark, asked, old)

    declare(folder, (OLD, OLD + NEW_OF_ITEMS), ("features:\n", "features:\n" + NEW_GROUP))
    with pytest.raises(ConfigError) as error:
        plan_night(ask(folder, FOUR, FOUR))
    plan = plan_backfill(ask(folder, THREE, THREE))
    run_backfill(ask(folder, THREE, THREE))

    assert error.value.exit_code == 2
    assert "item_features: column item_user_count_2d (bigint), " in str(error.value)
    assert "hour_features: the group is declared but has no table" in str(error.value)
    assert f"fill in with `lamplighter backfill --from {ONE}`" in str(error.value)
    steps = of_steps(plan.steps)
    assert list(steps["build_features"]) == [THREE]
    assert steps["build_features"][THREE].startswith("configuration: features.hour is new")
    assert any("item_features: column item_user_count_2d" in notice for notice in plan.notices)
    after = digests(spark, ask(folder), old)
    assert {key: digest for key, digest in after.items() if key in before} == before

    asked = ask(folder, TWO, TWO)
    rule = "cohorts.item.rules=[{name: fresh, when: item_click_count_all < 1}]"
    with pytest.raises(ConfigError, match=f"item_click_count_all is not filled in for {TWO}, where"):
        label_cohorts(replace(asked, settings=(*asked.settings, rule)))
    run_night(ask(folder, FOUR, FOUR))  # goes on from there, without another word

    fresh = at_once(ask(folder), tmp_path / "fresh")
    everything = {name: columns_of(fresh, name) for name in (*TABLES, "hour_features", "hour_daily")}
    wanted, found = (digests(spark, each, everything) for each in (fresh, ask(folder)))
    tables_without_examples = {
        key: digest for key, digest in since(found, THREE).items() if key != ("examples", THREE)
    }
    assert tables_without_examples == {key: wanted[key] for key in tables_without_examples}
    assert ("hour_features", THREE) in found
    assert ("hour_features", TWO) not in found
    rows = Project(asked).store.rows("item_features", f"data_date = '{TWO}'")
    assert {(row["item_click_count_all"], row["item_user_count_2d"]) for row in rows} == {(None, None)}

    run_backfill(ask(folder))  # back to the first date: everything is as if it had always been declared

    assert digests(spark, ask(folder), everything) == wanted
    assert not any(step.dates for step in run_backfill(ask(folder)))


@pytest.mark.slow
def test_an_aggregate_that_was_away_or_measured_otherwise_is_whole_again(
    spark: SparkSession, folder: Path, tmp_path: Path
) -> None:
    run_history(ask(folder, ONE, TWO))
    declare(folder, (CLICKS, ""), (RATE, ""))
    run_night(ask(folder, THREE, THREE))  # nothing stops a night: the column stays in older rows
    rows = Project(ask(folder)).store.rows("user_daily", f"data_date = '{THREE}'")
    assert rows
    assert "click_count" not in rows[0]

    declare(folder, (VIEWS, VIEWS + CLICKS.replace("agg: sum", "agg: sum, where: item_id = 'x'")))
    run_night(ask(folder, FOUR, FOUR))

    fresh = at_once(ask(folder), tmp_path / "fresh")
    features = {table: columns_of(fresh, table) for table in ("user_features", "user_daily")}
    wanted, found = (digests(spark, each, features) for each in (fresh, ask(folder)))
    assert since(found, FOUR) == since(wanted, FOUR)
    assert found["user_features", THREE] != wanted["user_features", THREE]
    messages = [row["message"] for row in Project(ask(folder)).store.rows("runs")]
    assert f"user: click_count filled in from events of {ONE}..{THREE}" in messages
