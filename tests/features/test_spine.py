"""Rows of one's own get what examples get: the same values, the same defaults, every row kept."""

import random
from datetime import UTC, date, datetime
from typing import Any

import pytest
import yaml
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.columns import feature_columns
from core.config_model import EntityName
from core.errors import ConfigError
from core.schema import Config
from features.spine import EntityTables, missing_keys, to_received, to_spine, with_features
from tests.features.measured import GROUPS
from tests.features.small import CONFIG, EVER, ITEMS, USERS, Event, Tables, build, rows_of, to_frame

ZONE = "Asia/Shanghai"
KEYS = {"user_id": "bigint", "item_id": "bigint"}
FIRST, LAST = date(2022, 5, 1), date(2022, 5, 4)  # as-of days; examples are of 05-02 .. 05-05


@pytest.fixture(scope="module")
def tables(spark: SparkSession, config: Config) -> Tables:
    """User 9 and item 4 have no attributes; user 9 appears on the last day, so its examples know nothing."""
    chance = random.Random(5)
    log = [
        Event(
            user=9 if day == LAST.day + 1 else chance.randint(1, 4),
            item=chance.randint(1, 4),
            day=day,
            click=chance.randint(0, 1),
            seconds=str(chance.randint(0, 99)),
            hour=chance.choice([0, 15]),  # 08:00 and 23:00 in Shanghai
            number=number,
        )
        for number, day in enumerate(day for day in range(1, LAST.day + 2) for _ in range(8))
    ]
    users = spark.createDataFrame([(u, EVER, None, f"city {u % 2}", 20 + u) for u in range(1, 5)], USERS)
    items = spark.createDataFrame([(i, EVER, None, f"tag {i % 2}") for i in range(1, 4)], ITEMS)
    return build(to_frame(spark, log), users, items, config, FIRST, LAST)


def entities_of(tables: Tables) -> list[EntityTables]:
    return [
        EntityTables("item", tables.item_features, tables.item_cohorts),
        EntityTables("user", tables.user_features, tables.user_cohorts),
    ]


def all_features(config: Config) -> list[str]:
    entities: tuple[EntityName, ...] = ("user", "item")
    return [
        column
        for entity in entities
        for column in (*feature_columns(getattr(config.features, entity), entity), f"{entity}_cohort")
    ]


def test_a_spine_made_of_examples_gets_the_features_of_these_examples(tables: Tables, config: Config) -> None:
    received = ["user_id", "item_id", "event_time"]
    examples = tables.examples
    spine = examples.select(*received)

    joined = with_features(to_spine(spine, KEYS, ZONE), entities_of(tables), config)

    columns = [*received, *all_features(config)]
    expected = rows_of(examples.select(*columns), *received)
    found = rows_of(to_received(joined, all_features(config)), *received)
    assert len(expected) == 32
    assert sum(row["user_is_never_seen"] for row in expected) == 8
    assert found == expected


def test_features_of_further_groups_are_those_of_the_examples(spark: SparkSession) -> None:
    """City is of users, tag a list of items, page a context column; item 2 is of two tags."""
    values, chance = yaml.safe_load(CONFIG), random.Random(7)
    measured = [
        {"name": "shown_count", "agg": "count", "windows": ["1d", "all"]},
        {"name": "clickers", "agg": "distinct", "of": "user_id", "where": "is_click = 1", "windows": ["all"]},
    ]
    values["features"] |= {group: key | {"aggregates": measured} for group, key in GROUPS.items()}
    config = Config.model_validate(values)
    log = [
        Event(user=chance.randint(1, 4), item=chance.randint(1, 4), day=1 + number // 12,
              click=chance.randint(0, 1), tab=chance.randint(0, 2), number=number)
        for number in range(36)
    ]  # fmt: skip
    users = spark.createDataFrame([(u, EVER, None, f"city {u % 2}", 20) for u in range(1, 4)], USERS)
    items = spark.createDataFrame(
        [(1, EVER, None, "x"), (2, EVER, None, "x+y"), (3, EVER, None, None)], ITEMS
    )
    built = build(to_frame(spark, log), users, items, config, date(2022, 5, 1), date(2022, 5, 2))
    received = ["event_id", "user_id", "item_id", "tab", "data_date"]
    examples = built.examples.select(*received)
    assert examples.count() == 24
    for asked in (("city", "tag", "page"), ("tag",)):
        features = [
            column for group in asked for column in feature_columns(config.features.groups[group], group)
        ]
        keys = {**KEYS, "tab": "int"} if "page" in asked else KEYS
        groups = {group: built.groups[group] for group in asked}

        joined = with_features(to_spine(examples, keys, ZONE), entities_of(built), config, groups)

        expected = rows_of(built.examples.select(*received, *features), "event_id")
        assert rows_of(to_received(joined, features), "event_id") == expected
        (counted,) = joined.agg(*(missing_keys(group).alias(group) for group in asked)).collect()
        never = {group: sum(row[f"{group}_is_never_seen"] for row in expected) for group in asked}
        assert counted.asDict() == never
        assert never["tag"] > 0


def test_every_row_is_kept_as_it_came_and_unknown_keys_are_counted(
    spark: SparkSession, tables: Tables, config: Config
) -> None:
    rows: list[tuple[Any, ...]] = [
        ("a", "1", 2, "2022-05-03", 1.5),
        ("a", "1", 2, "2022-05-03", 1.5),  # twice: two rows
        ("b", "77", 2, "2022-05-03", None),  # a user who is not known
        ("c", None, 4, "2022-05-03", None),  # none
        ("d", "1.5", 99, "2022-05-05", None),  # no id of a user; an item that is not known
    ]
    spine = spark.createDataFrame(
        rows, "`a name` string, user_id string, item_id int, data_date string, user_age double"
    )
    features = ["user_impression_count_all", "user_click_rate_all", "user_cohort", "item_cohort"]

    joined = with_features(to_spine(spine, KEYS, ZONE), entities_of(tables), config)
    found = [tuple(row) for row in to_received(joined, features).collect()]

    assert sorted(row[:5] for row in found) == sorted(rows, key=str)
    without_events = (0, None, "new")
    assert {row[0]: row[5:8] == without_events for row in found} == {
        "a": False, "b": True, "c": True, "d": True,
    }  # fmt: skip
    counts = joined.agg(missing_keys("user").alias("user"), missing_keys("item").alias("item")).first()
    assert counts is not None
    assert counts.asDict() == {"user": 3, "item": 1}


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (
            "data_date string",
            [("2022-05-03", date(2022, 5, 3)), ("2022", None), ("3.5.2022", None), ("2022-02-30", None)],
        ),
        ("data_date date", [(date(2022, 5, 3), date(2022, 5, 3)), (None, None)]),
        (
            "data_date timestamp_ntz",  # as pandas writes dates
            [(datetime(2022, 5, 3), date(2022, 5, 3)), (datetime(2022, 5, 3, 1), None)],
        ),
        (
            "event_time string",
            [
                ("2022-05-03T23:59:59+08:00", date(2022, 5, 3)),
                ("2022-05-03 15:59:59", date(2022, 5, 3)),  # UTC
                ("2022-05-03 16:00:00Z", date(2022, 5, 4)),
                ("12:30", None),  # which Spark reads as a time of today
                ("2022-05-03", None),
            ],
        ),
        ("event_time timestamp", [(datetime(2022, 5, 3, 16, tzinfo=UTC), date(2022, 5, 4)), (None, None)]),
        ("event_time timestamp_ntz", [(datetime(2022, 5, 3, 15, 59), date(2022, 5, 3))]),
    ],
)
def test_a_date_is_read_or_is_null(spark: SparkSession, kind: str, values: list[tuple[Any, Any]]) -> None:
    name = kind.split(maxsplit=1)[0]
    spine = spark.createDataFrame([(given,) for given, _ in values], kind)

    read = to_spine(spine, {}, ZONE).select(F.col("_spine")[name].alias("given"), "data_date")

    found = [row["data_date"] for row in read.collect()]
    assert found == [expected for _, expected in values]


def test_a_data_date_counts_before_an_instant(spark: SparkSession) -> None:
    spine = spark.createDataFrame(
        [("2022-05-03", "2022-05-07T12:00:00Z")], "data_date string, event_time string"
    )

    assert to_spine(spine, {}, ZONE).select("data_date").collect() == [(date(2022, 5, 3),)]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            "item_id int, data_date date",
            r"no column user_id, the key of the features asked for; it has \['item_",
        ),
        ("user_id int, item_id int", "no column data_date and none event_time; expected one of them"),
        ("user_id int, item_id int, data_date int", "data_date is of type int; expected a date, or text as"),
        ("user_id int, item_id int, event_time bigint", "event_time is of type bigint; expected a timestamp"),
    ],
)
def test_a_spine_without_keys_or_dates_is_refused(spark: SparkSession, columns: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        to_spine(empty(spark, columns), KEYS, ZONE)


def empty(spark: SparkSession, columns: str) -> DataFrame:
    return spark.createDataFrame([], columns)
