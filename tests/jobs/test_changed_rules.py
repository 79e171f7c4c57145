"""A changed cohort rule: tried beside what is stored, then applied to the dates that are asked for."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from core.errors import ConfigError
from jobs.label_cohorts import label_cohorts
from jobs.runtime.arguments import Arguments
from jobs.runtime.night import run_history, run_night
from jobs.runtime.plan import Planner
from jobs.runtime.project import Project
from jobs.runtime.trying import try_change
from jobs.tables.compare import DifferingRow
from tests.jobs.test_backfill import ask, rows_of
from tests.tiny_log import DAYS, deliver, write_tiny_project

ONE, TWO, THREE, FOUR = DAYS
RULE = "cohorts.user.rules=[{name: guest, when: user_view_count_all < 2}]"
VERSION = "cohorts.user.version=2"
POOL = "lists.home.pool=[{source: most_shown, items: 5, window: 1d}]"


@pytest.fixture(scope="module")
def folder(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Users a and b are seen on three data dates, c on the second alone; a history has run."""
    made = write_tiny_project(tmp_path_factory.mktemp("rules") / "project")
    for day, users in zip(DAYS, ("ab", "abc", "ab", "ab"), strict=True):
        deliver(made, day, "a", rows_of(day, users))
    run_history(ask(made, ONE, THREE))
    return made


def changed(folder: Path, day: date, *settings: str) -> Arguments:
    asked = ask(folder, day, day)
    return replace(asked, settings=(*asked.settings, *settings))


def cohorts(folder: Path) -> dict[date, dict[str, tuple[str, int]]]:
    """Data date -> user -> (cohort, version of the rules)."""
    found: dict[date, dict[str, tuple[str, int]]] = {}
    for row in Project(ask(folder)).store.rows("user_cohorts"):
        found.setdefault(row["data_date"], {})[row["user_id"]] = (row["cohort"], row["rule_version"])
    return found


@pytest.mark.slow
def test_a_rule_and_a_feature_are_tried_beside_what_is_stored(folder: Path) -> None:
    store = Project(ask(folder)).store
    before = {table: store.version(table) for table in store.catalog.tables}

    tried = try_change(changed(folder, TWO, RULE))

    assert tried.why == "configuration: cohorts.user.rules[guest].when changed"
    tables = {each.difference.table: each for each in tried.tables}
    users = tables["user_cohorts"]
    assert (users.difference.rows, users.difference.made) == (2, 3)
    assert users.transitions == (("guest", "regular", 2),)
    assert users.rows[0] == DifferingRow({"user_id": "a", "data_date": TWO}, {"cohort": ("guest", "regular")})
    assert tables["item_cohorts"].difference.rows == 0

    aggregates = "[{name: view_count, agg: count, windows: [1d, all]}]"
    features = try_change(
        changed(folder, TWO, f"features.item.aggregates={aggregates}", "baselines.window=1d", POOL)
    )
    [items] = [each for each in features.tables if each.difference.table == "item_features"]
    assert items.difference.columns == {"item_view_count_1d": 1}
    assert items.rows[0].values == {"item_view_count_1d": (None, 3)}

    assert {table: store.version(table) for table in store.catalog.tables} == before
    with pytest.raises(ConfigError, match=f"try {TWO}: features and cohorts .* were made with this"):
        try_change(changed(folder, TWO, "lists.home.top_k=1"))
    with pytest.raises(ConfigError, match=f"try {FOUR}: build_features is not done for this data date"):
        try_change(changed(folder, FOUR, RULE))


@pytest.mark.slow
def test_a_changed_rule_relabels_the_dates_that_are_asked_for(folder: Path) -> None:
    before = cohorts(folder)

    label_cohorts(changed(folder, TWO, RULE, VERSION))

    after = cohorts(folder)
    assert {day: after[day] for day in (ONE, THREE)} == {day: before[day] for day in (ONE, THREE)}
    assert after[TWO] == {"a": ("regular", 2), "b": ("regular", 2), "c": ("guest", 2)}

    run_night(changed(folder, FOUR, RULE, VERSION))

    after = cohorts(folder)
    assert after[THREE] == before[THREE]
    assert after[FOUR] == {"a": ("regular", 2), "b": ("regular", 2), "c": ("guest", 2)}
    project = Project(changed(folder, FOUR, RULE, VERSION))
    reasons = {day: Planner(project, DAYS, ()).reason("label_cohorts", day) for day in DAYS}
    assert [day for day, reason in reasons.items() if reason is None] == [TWO, FOUR]
    assert reasons[ONE] is not None
    assert "cohorts.user.rules[guest].when" in reasons[ONE].text  # the fingerprint says which rule made it
