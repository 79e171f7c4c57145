"""Groups of further keys and all aggregates: a range, its dates, and a recomputation from events agree."""

import random
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.columns import feature_columns
from core.schema import Config
from features.attributes import with_attributes
from features.entities import to_known_keys
from features.groups import with_group_features, with_group_key
from features.tiles import to_daily_tiles
from features.windows import no_state, to_features
from jobs.tables.catalog import declared_tables
from tests.features.measured import config_with_groups, measured, values_in
from tests.features.small import EVER, ITEMS, USERS, Event, build, rows_of, to_frame

LAST = 5
CITIES = {1: "a", 2: "b", 3: "a", 4: None}
TAGS = {1: "x", 2: "x+y", 3: " y + z+", 4: None, 5: ""}
MOVED = 3  # from that day on user 1 lives in b, and item 1 is tagged y

events_ = st.builds(
    Event,
    user=st.integers(1, 5),
    item=st.integers(1, 6),
    day=st.integers(1, LAST),
    click=st.integers(0, 1),
    seconds=st.integers(0, 9_999).map(lambda n: f"{n / 8:.3f}"),
    tab=st.integers(0, 2),
    hour=st.integers(10, 12),
)


@pytest.fixture(scope="module")
def grouped() -> Config:
    return config_with_groups()


@pytest.fixture(scope="module")
def users(spark: SparkSession) -> DataFrame:
    moved = date(2022, 5, MOVED)
    rows = [(u, EVER, None if u != 1 else moved, city, 20) for u, city in CITIES.items()]
    return spark.createDataFrame([*rows, (1, moved, None, "b", 20)], USERS)


@pytest.fixture(scope="module")
def items(spark: SparkSession) -> DataFrame:
    moved = date(2022, 5, MOVED)
    rows = [(i, EVER, None if i != 1 else moved, tag) for i, tag in TAGS.items()]
    return spark.createDataFrame([*rows, (1, moved, None, "y")], ITEMS)


def city_of(user: int, day: int) -> str | None:
    return "b" if user == 1 and day >= MOVED else CITIES.get(user)


def tags_of(item: int, day: int) -> str | None:
    return "y" if item == 1 and day >= MOVED else TAGS.get(item)


def keys_of(group: str, event: Event) -> list[Any]:
    match group:
        case "user":
            return [event.user]
        case "city":
            return [city_of(event.user, event.day)] if city_of(event.user, event.day) else []
        case "page":
            return [event.tab]
        case _:
            return values_in(tags_of(event.item, event.day))


def features_of(
    log: DataFrame,
    users: DataFrame,
    items: DataFrame,
    config: Config,
    group: str,
    first: int,
    last: int,
    before: DataFrame | None = None,
) -> DataFrame:
    """Features and state of a group as of first .. last; `before`: those as of earlier dates."""
    known = with_attributes(log, items, ["item_tag"], "item_id")
    known = with_attributes(known, users, ["user_city"], "user_id")
    features, dates = config.features.groups[group], (date(2022, 5, first), date(2022, 5, last))
    keyed = known if features.key is None else with_group_key(known, features, group)
    tiles = to_daily_tiles(keyed, group, features, config.behaviours).where(F.col("data_date") <= dates[1])
    state = no_state(tiles, features, group)
    if before is not None:
        state = before.where(F.col("data_date") == date(2022, 5, first - 1))
    entities = users if group == "user" else None
    keys = to_known_keys(entities, tiles, state, group, *dates)
    return to_features(keys, tiles, state, entities, features, group, *dates)


@pytest.mark.slow
@given(log=st.lists(events_, min_size=20, max_size=60, unique_by=lambda e: e.event_id))
@settings(max_examples=2, database=None)
def test_a_range_equals_its_dates_and_a_recomputation_from_raw_events(
    spark: SparkSession, grouped: Config, users: DataFrame, items: DataFrame, log: list[Event]
) -> None:
    frame = to_frame(spark, log).localCheckpoint()
    for group in ("user", "tag"):
        at_once = features_of(frame, users, items, grouped, group, 1, LAST).localCheckpoint()
        night = features_of(frame, users, items, grouped, group, 3, 4, at_once)
        assert types_of(at_once) == declared_types(grouped, f"{group}_features", f"{group}_state")
        columns = [f"{group}_id", "data_date", *feature_columns(grouped.features.groups[group], group)]
        both = at_once.select(F.lit("at once").alias("how"), *columns).unionByName(
            night.select(F.lit("by night").alias("how"), *columns)
        )
        found = rows_of(both, "how", "data_date", f"{group}_id")

        expected = list(recomputed(grouped, group, log))
        by_how = {
            how: [{k: v for k, v in row.items() if k != "how"} for row in found if row["how"] == how]
            for how in ("at once", "by night")
        }
        assert by_how["at once"] == [pytest.approx(row, rel=1e-9, abs=1e-6) for row in expected]
        middle = [row for row in by_how["at once"] if row["data_date"].day in (3, 4)]
        assert by_how["by night"] == middle  # to the last bit


def types_of(frame: DataFrame) -> dict[str, str]:
    return {field.name: field.dataType.simpleString() for field in frame.schema.fields}


def declared_types(config: Config, *names: str) -> dict[str, str]:
    declared = {table.name: table for table in declared_tables(config)}
    return {column: kind.simpleString() for name in names for column, kind in declared[name].columns.items()}


def recomputed(config: Config, group: str, log: Sequence[Event]) -> Iterator[dict[str, Any]]:
    """The rows of a group's features as of all dates; users 1 to 4 are known without events."""
    for day in range(1, LAST + 1):
        as_of = date(2022, 5, day)
        history = [event for event in log if event.day <= day]
        keys = {key for event in history for key in keys_of(group, event)}
        for key in sorted(keys | (set(CITIES) if group == "user" else set())):
            own = [event for event in history if key in keys_of(group, event)]
            row = {f"{group}_id": key, "data_date": as_of}
            row |= measured(group, config.features.groups[group], own, as_of, tags_of)
            if group == "user":
                row |= {"user_city": city_of(key, day), "user_age": 20 if key in CITIES else None}
            yield row


@pytest.mark.slow
def test_examples_and_scoring_read_the_features_of_the_key_as_of_the_day_before(
    spark: SparkSession, grouped: Config, users: DataFrame, items: DataFrame
) -> None:
    chance = random.Random(4)
    log = [
        Event(
            user=chance.randint(1, 5),
            item=chance.randint(1, 6),
            day=chance.randint(1, 4),
            click=chance.randint(0, 1),
            seconds=f"{chance.randint(0, 99)}",
            tab=chance.randint(0, 2),
            number=number,
        )
        for number in range(60)
    ]
    of_events = {event.event_id: event for event in log}
    tables = build(to_frame(spark, log), users, items, grouped, date(2022, 5, 1), date(2022, 5, 3))

    examples = tables.examples.collect()
    of_items = with_group_features(tables.item_features, tables.groups, grouped, "item").collect()
    of_users = with_group_features(tables.user_features, tables.groups, grouped, "user").collect()

    assert len(examples) == sum(event.day > 1 for event in log)
    scored = 0
    for row in examples:
        event = of_events[row["event_id"]]
        before = date(2022, 5, event.day - 1)
        keys = {
            "city": [city_of(event.user, before.day)],
            "tag": values_in(tags_of(event.item, before.day)),
            "page": [event.tab],
        }
        for group, values in keys.items():
            features = grouped.features.groups[group]
            own = [e for v in values for e in log if e.day < event.day and v in keys_of(group, e)]
            expected = measured(group, features, own, before, tags_of)
            assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-9, abs=1e-6)
        for known, group, key in ((of_items, "tag", "item_id"), (of_users, "city", "user_id")):
            columns = feature_columns(grouped.features.groups[group], group)
            found = [each for each in known if (each[key], each["data_date"]) == (row[key], before)]
            for each in found:  # none of an unknown user or item, which is not scored
                assert {c: each[c] for c in columns} == {c: row[c] for c in columns}
                scored += 1
    assert scored > len(examples)


def test_tiles_have_the_declared_types(spark: SparkSession, grouped: Config) -> None:
    events = to_frame(spark, []).withColumn("item_tag", F.lit("x"))
    tiles = to_daily_tiles(events, "user", grouped.features.user, grouped.behaviours)

    assert types_of(tiles) == declared_types(grouped, "user_daily")


def test_a_key_is_a_value_of_its_column_and_no_key_is_no_row(spark: SparkSession, grouped: Config) -> None:
    rows = spark.createDataFrame(
        [(1, "a", "x + y+x"), (2, "", "+"), (3, None, None)], "n int, user_city string, item_tag string"
    )
    features = grouped.features.groups

    cities = rows_of(with_group_key(rows, features["city"], "city"), "n")
    tags = rows_of(with_group_key(rows, features["tag"], "tag"), "tag_id")

    assert [(row["n"], row["city_id"]) for row in cities] == [(1, "a")]
    assert [(row["n"], row["tag_id"]) for row in tags] == [(1, "x"), (1, "y")]
