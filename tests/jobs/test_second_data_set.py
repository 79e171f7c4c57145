"""Whole nights on a data set of another shape: compressed text, several files per date, no attributes."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.columns import context_columns, feature_columns
from core.paths import exists
from features.entities import to_known_keys
from features.windows import no_state, to_features
from jobs.runtime.arguments import Arguments
from jobs.runtime.night import run_history, run_night
from jobs.runtime.project import Project
from jobs.runtime.spine import join_spine
from tests.features.small import rows_of
from tests.jobs.small_settings import SMALL
from tests.second_data_set import BOOKS, FIRST, LAST, NAME, READERS, write_second_data_set

FUNCTION = """
from pyspark.sql import Window
from pyspark.sql import functions as F


def with_visits(events):
    before = F.lag("event_time").over(Window.partitionBy("user_id").orderBy("event_time", "event_id"))
    is_start = before.isNull() | (F.timestamp_diff("MINUTE", before, F.col("event_time")) > 30)
    return events.select("event_id", is_start.cast("int").alias("starts"))
"""
DERIVED = (
    "derived.visits.call=functions/visits.py:with_visits",
    "derived.visits.columns={is_visit: {from: starts, kind: binary}}",
    "features.page.key=shelf",
    "features.page.aggregates=[{name: visit_count, agg: sum, of: is_visit, windows: [2d, all]}]",
)
WITHOUT_ATTRIBUTES = (
    "source.users=null",
    "source.items=null",
    "features.user.attributes=[]",
    "features.item.attributes=[]",
    "features.genre.key=shelf",
    "features.author.key=user_device",
    "baselines.group=item_id",
    "inputs.categorical=[{column: item_id, hash_size: 64, dim: 4}, {column: shelf, dim: 2}]",
    "inputs.dense=[{column: user_offer_count_all, transform: log1p}, {column: user_lowest_shelf_3d}, "
    "{column: genre_offer_count_2d}, {column: author_borrowed_days_all}]",
)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [(), WITHOUT_ATTRIBUTES], ids=["attributes", "no attributes"])
def test_two_nights_give_each_user_a_list(
    spark: SparkSession, tmp_path: Path, settings: tuple[str, ...]
) -> None:
    folder = write_second_data_set(tmp_path, rows_per_day=150)
    until = LAST - timedelta(days=2)
    (folder / "functions").mkdir()
    (folder / "functions" / "visits.py").write_text(FUNCTION)
    ask = Arguments(FIRST, until, dataset=NAME, settings=(*SMALL, *DERIVED, *settings), project=folder)

    run_history(ask)
    for day in (until + timedelta(days=1), LAST):
        run_night(replace(ask, first=day, last=day))

    project = Project(replace(ask, first=LAST, last=LAST))
    lists = project.store.read(spark, "scores").where(F.col("data_date") == LAST)
    users = {row["user_id"] for row in lists.select("user_id").distinct().collect()}
    assert users - {"Nie:gesehen"} == set(READERS)
    assert ("Nie:gesehen" in users) == (settings == ())  # known by attributes alone
    assert lists.count() == 5 * len(users)
    assert {row["item_id"] for row in lists.select("item_id").collect()} <= set(BOOKS)
    assert {row["rank"] for row in lists.collect()} == {1, 2, 3, 4, 5}
    assert len(project.store.rows("models")) == 1
    balance = project.store.rows("row_balance")
    assert all(
        row["read"] == row["accepted"] + row["duplicates"] + row["conflicts"] + row["failed"]
        for row in balance
    )
    assert sum(row["late"] for row in balance) == (LAST - FIRST).days  # that of the first file is too early
    assert sum(row["failed"] for row in balance) > 0
    assert exists(project.report_uri(f"{LAST}.html"))
    pages = project.store.read(spark, "page_features").where(F.col("data_date") == LAST)
    visits = pages.agg(
        F.sum("page_visit_count_all").alias("v"), F.max("page_recency_days").alias("d")
    ).first()
    assert visits is not None
    assert len(READERS) < visits["v"] < pages.count() * 1_000
    assert visits["d"] == 0

    for group in ("genre", "author", "page"):
        stored = project.store.read(spark, f"{group}_features").where(F.col("data_date") == LAST)
        assert rows_of(stored, f"{group}_id") == rows_of(at_once(spark, project, group), f"{group}_id")
    assert_a_spine_gets_what_examples_have(spark, project)


def assert_a_spine_gets_what_examples_have(spark: SparkSession, project: Project) -> None:
    """Features of all groups: of users and items, of attributes (lists too), and of a context column."""
    examples = project.store.read(spark, "examples")
    received = ["event_id", "user_id", "item_id", "data_date", *context_columns(project.config)]
    groups = project.config.features.groups
    features = {group: feature_columns(each, group) for group, each in groups.items()}
    asked = [f"{group}.{column}" for group, columns in features.items() for column in columns]

    joined = join_spine(project, examples.select(*received), asked)

    columns = [*received, *(column for columns in features.values() for column in columns)]
    order = ("data_date", "event_id")
    assert rows_of(joined.frame, *order) == rows_of(examples.select(*columns), *order)
    assert joined.missing.keys() == groups.keys()


def at_once(spark: SparkSession, project: Project, group: str) -> DataFrame:
    """Features of a group as of the last date, from all tiles and no state."""
    features = project.config.features.groups[group]
    tiles = project.store.read(spark, f"{group}_daily")
    state = no_state(tiles, features, group)
    keys = to_known_keys(None, tiles, state, group, FIRST, LAST)
    every = to_features(keys, tiles, state, None, features, group, FIRST, LAST)
    columns = project.catalog[f"{group}_features"].columns
    return every.where(F.col("data_date") == LAST).select(*columns)
