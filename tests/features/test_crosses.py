"""Crosses: a range, its dates, and a recomputation from events agree; so do examples."""

from datetime import date

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.columns import feature_columns
from core.schema import Config
from features.attributes import with_attributes
from features.groups import with_group_key
from features.spine import EntityTables, to_received, to_spine, with_features
from features.tiles import to_daily_tiles
from features.windows import to_cross_features
from jobs.tables.catalog import declared_tables
from tests.features.crossed import (
    GROUPS,
    TAGS,
    config_with_crosses,
    of_pair,
    pairs_seen,
    some_events,
    values_of,
)
from tests.features.small import EVER, ITEMS, USERS, Tables, build, rows_of, to_frame

LOG = some_events(2, [1, 2, 3, 4])
LAST, MOVED = 6, 3  # item 1 is tagged y from that day on


def tags_of(item: int, day: int) -> str | None:
    return "y" if item == 1 and day >= MOVED else TAGS.get(item)


@pytest.fixture(scope="module")
def crossed() -> Config:
    return config_with_crosses()


@pytest.fixture(scope="module")
def items(spark: SparkSession) -> DataFrame:
    moved = date(2022, 5, MOVED)
    rows = [(i, EVER, None if i != 1 else moved, tag) for i, tag in TAGS.items()]
    return spark.createDataFrame([*rows, (1, moved, None, "y")], ITEMS)


@pytest.mark.parametrize("group", GROUPS)
def test_a_range_equals_its_dates_and_a_recomputation_from_raw_events(
    spark: SparkSession, crossed: Config, items: DataFrame, group: str
) -> None:
    log = some_events(1, [1, 2, 6])  # as of day 5, the pairs of day 2 have left the longest window
    features = crossed.features.groups[group]
    known = with_attributes(to_frame(spark, log), items, ["item_tag"], "item_id")
    tiles = to_daily_tiles(with_group_key(known, features, group), group, features, crossed.behaviours)
    tiles = tiles.localCheckpoint()

    def made(first: int, last: int) -> DataFrame:
        own = tiles.where(F.col("data_date").between(date(2022, 5, 1), date(2022, 5, last)))
        return to_cross_features(own, features, group, date(2022, 5, first), date(2022, 5, last))

    at_once = made(1, LAST)
    declared = {table.name: table for table in declared_tables(crossed)}
    names = [f"{group}_features", *([f"{group}_state"] if features.split else [])]
    assert dict(at_once.dtypes) == {
        column: kind.simpleString() for name in names for column, kind in declared[name].columns.items()
    }
    keys = ["data_date", "user_id", f"{group}_id"]
    columns = [*keys, *feature_columns(features, group)]
    found = rows_of(at_once.select(*columns), *keys)
    expected = [
        {"data_date": as_of, "user_id": user, f"{group}_id": value}
        | of_pair(crossed, group, log, user, [value], as_of, tags_of)
        for as_of in (date(2022, 5, day) for day in range(1, LAST + 1))
        for user, value in pairs_seen(group, log, as_of, tags_of)
    ]
    assert all(row["data_date"].day != 5 for row in expected)
    assert found == [pytest.approx(row, rel=1e-9, abs=1e-6) for row in expected]
    one_night = rows_of(made(4, 4).select(*columns), *keys)
    assert one_night == [row for row in found if row["data_date"].day == 4]  # to the last bit
    assert one_night


@pytest.fixture(scope="module")
def tables(spark: SparkSession, crossed: Config, items: DataFrame) -> Tables:
    users = spark.createDataFrame([(u, EVER, None, "a", 20) for u in (1, 2, 3)], USERS)
    return build(to_frame(spark, LOG), users, items, crossed, date(2022, 5, 1), date(2022, 5, 3))


@pytest.mark.slow
def test_rows_of_ones_own_read_what_examples_read(tables: Tables, crossed: Config) -> None:
    groups = [*GROUPS, "page", "item"]
    features = [c for group in groups for c in feature_columns(crossed.features.groups[group], group)]
    received = ["event_id", "user_id", "item_id", "tab", "data_date"]
    keys = {"user_id": "bigint", "item_id": "bigint", "tab": "int"}
    spine = to_spine(tables.examples.select(received), keys, "Asia/Shanghai")
    of_items = EntityTables("item", tables.item_features, tables.item_cohorts)

    joined = with_features(spine, [of_items], crossed, tables.groups)

    columns = [*received, *features]
    found = rows_of(to_received(joined, features), "event_id")
    assert found == rows_of(tables.examples.select(columns), "event_id")
    assert any(row["page_shown_count_1d"] for row in found)


@pytest.mark.slow
def test_examples_read_the_pair_of_their_user_and_the_values_of_their_item(
    tables: Tables, crossed: Config
) -> None:
    of_events = {event.event_id: event for event in LOG}

    examples = tables.examples.collect()

    assert len(examples) == sum(event.day > 1 for event in LOG)
    merged = 0
    for row in examples:
        event = of_events[row["event_id"]]
        before = date(2022, 5, event.day - 1)
        for group in GROUPS:
            values = values_of(group, event.item, before.day, tags_of)
            expected = of_pair(crossed, group, LOG, event.user, values, before, tags_of)
            found = {column: row[column] for column in expected}
            assert found == pytest.approx(expected, rel=1e-9, abs=1e-6)
            merged += len(values) > 1 and expected[f"{group}_shown_count_3d"] > 0
    assert merged > 5
