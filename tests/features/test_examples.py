"""An example contains what was known the day before, in the shape that scoring reads, and nothing later."""

import random
from datetime import date
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.columns import input_sides
from core.schema import Config, Examples
from features.encoding import encoded, fit_encoder
from tests.features.small import EVER, ITEMS, USERS, Event, Tables, build, rows_of, to_frame

FIRST, LAST = date(2022, 5, 1), date(2022, 5, 6)  # as-of days; examples are of 05-02 .. 05-07
CHANGED = 6  # the leakage probe changes events from this day on, which is inside the range


@pytest.fixture(scope="module")
def log() -> list[Event]:
    """Users 1-6, of whom 6 appears on 05-06 for the first time; items 1-4, of which 4 is never described."""
    chance = random.Random(3)
    return [
        Event(
            user=chance.randint(1, 6 if day == CHANGED else 5),
            item=chance.randint(1, 4),
            day=day,
            click=chance.randint(0, 1),
            seconds=str(chance.randint(0, 99)),
            tab=chance.randint(0, 2),
            number=number,
        )
        for number, day in enumerate(day for day in range(1, CHANGED + 1) for _ in range(8))
    ]


@pytest.fixture(scope="module")
def users(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([(u, EVER, None, f"city {u % 2}", 20 + u) for u in range(1, 6)], USERS)


@pytest.fixture(scope="module")
def items(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([(i, EVER, None, f"tag {i % 2}") for i in range(1, 4)], ITEMS)


@pytest.fixture(scope="module")
def tables(
    spark: SparkSession, log: list[Event], users: DataFrame, items: DataFrame, config: Config
) -> Tables:
    return build(to_frame(spark, log), users, items, config, FIRST, LAST)


def test_every_event_of_the_range_is_one_example(tables: Tables, log: list[Event]) -> None:
    assert rows_of(tables.examples.select("event_id"), "event_id") == sorted(
        ({"event_id": event.event_id} for event in log if event.day >= 2), key=lambda row: row["event_id"]
    )


def test_an_example_holds_features_and_cohorts_of_the_day_before(tables: Tables) -> None:
    def as_of(frame: DataFrame, *key: str) -> dict[tuple[Any, ...], dict[str, Any]]:
        return {tuple(row[k] for k in key): row.asDict() for row in frame.collect()}

    user_features = as_of(tables.user_features, "user_id", "data_date")
    item_features = as_of(tables.item_features, "item_id", "data_date")
    user_cohorts = as_of(tables.user_cohorts, "user_id", "data_date")
    item_cohorts = as_of(tables.item_cohorts, "item_id", "data_date")
    compared = 0
    for example in rows_of(tables.examples, "event_id"):
        day_before = date(2022, 5, example["data_date"].day - 1)
        user, item = (example["user_id"], day_before), (example["item_id"], day_before)
        if user in user_features and item in item_features:
            known = user_features[user] | item_features[item] | {"data_date": example["data_date"]}
            assert {name: example[name] for name in known} == known
            assert example["user_cohort"] == user_cohorts[user]["cohort"]
            assert example["item_cohort"] == item_cohorts[item]["cohort"]
            compared += 1
    assert compared > 30


def test_an_unknown_key_has_the_features_of_one_without_events_and_the_cohort_of_the_rules(
    spark: SparkSession, users: DataFrame, items: DataFrame, config: Config
) -> None:
    events = [Event(user=1, item=1, day=1), Event(user=77, item=88, day=2, click=1, seconds="4", tab=2)]

    [example] = rows_of(
        build(to_frame(spark, events), users, items, config, FIRST, FIRST).examples, "event_id"
    )

    missing = {name: value for name, value in example.items() if value is None}
    assert set(missing) == {
        "user_recency_days", "user_first_event_time_all", "user_last_data_date_all",
        "user_longest_click_seconds_3d", "user_longest_click_seconds_all", "user_lowest_tab_1d",
        "user_lowest_tab_all", "user_click_rate_3d", "user_click_rate_all", "user_smooth_rate_3d",
        "user_city", "user_age", "item_recency_days", "item_first_event_time_all", "item_last_data_date_all",
        "item_click_rate_3d", "item_tag",
    }  # fmt: skip
    filled = {name: value for name, value in example.items() if value not in (None, 0)}
    assert {name: filled[name] for name in filled if name not in ("event_id", "event_time")} == {
        "data_date": date(2022, 5, 2),
        "user_id": 77,
        "item_id": 88,
        "tab": 2,
        "user_is_never_seen": True,
        "item_is_never_seen": True,
        "user_cohort": "new",
        "item_cohort": "new",
        "label_click": 1.0,
        "mask_click": True,
        "label_play": 4.0,
        "mask_play": True,
        "weight": 1.0,
    }


def test_nothing_that_happens_from_a_day_on_changes_what_its_other_examples_know(
    spark: SparkSession, tables: Tables, log: list[Event], users: DataFrame, items: DataFrame, config: Config
) -> None:
    probed = next(event for event in log if event.day == CHANGED)
    changed = [
        Event(**(vars(event) | {"click": 1 - event.click, "seconds": "500"})) if event == probed else event
        for event in log
    ]
    changed += [
        Event(user=user, item=item, day=day, click=1, seconds="900", hour=1, number=99)
        for user in range(1, 7)
        for item in range(1, 5)
        for day in (CHANGED, CHANGED + 1)
    ]

    after = build(to_frame(spark, changed), users, items, config, FIRST, LAST)

    ids = [event.event_id for event in log if event != probed and event.day >= 2]
    others = after.examples.where(F.col("event_id").isin(ids))
    before = tables.examples.where(F.col("event_id").isin(ids))
    assert rows_of(others, "event_id") == rows_of(before, "event_id")
    assert after.examples.where(F.col("data_date") == date(2022, 5, CHANGED)).count() == 8 + 24


def test_scoring_sees_the_vector_that_the_next_days_example_has(tables: Tables, config: Config) -> None:
    encoder = fit_encoder(tables.examples, config.inputs, input_sides(config))
    inputs = [name for name in encoder.columns if name != "tab"]
    examples = tables.examples.where(F.col("data_date") == date(2022, 5, 6))
    day_before = F.col("data_date") == date(2022, 5, 5)
    users = tables.user_features.where(day_before).drop("data_date")
    items = tables.item_features.where(day_before).drop("data_date")
    pairs = users.crossJoin(items).withColumn("tab", F.lit(1))
    key = ["user_id", "item_id"]

    trained = examples.select("event_id", *key, *encoded(examples, encoder)).drop("cat_tab")
    scored = pairs.select(*key, *encoded(pairs, encoder)).drop("cat_tab")

    vectors = {(row["user_id"], row["item_id"]): row.asDict() for row in scored.collect()}
    compared = [row for row in rows_of(trained, "event_id") if row["user_id"] != 6]  # 6 was unknown
    assert len(compared) > 3
    assert len(trained.columns) == len(inputs) + 3
    for row in compared:
        assert row == vectors[row["user_id"], row["item_id"]] | {"event_id": row["event_id"]}


def test_of_repeated_impressions_one_counts_and_all_stay(
    spark: SparkSession, users: DataFrame, items: DataFrame, config: Config
) -> None:
    events = [
        Event(user=1, item=1, day=2, hour=3),
        Event(user=1, item=1, day=2, hour=5, click=1, seconds="8"),  # the one with a click
        Event(user=1, item=1, day=2, hour=7, click=1, seconds="9"),  # and again
        Event(user=1, item=2, day=2, hour=4),  # another item
        Event(user=2, item=1, day=2, hour=4),  # another user
        Event(user=1, item=1, day=3, hour=3),  # another data date
    ]
    declared = Examples(repeats=("is_click DESC", "event_time"))

    def counting(config: Config) -> set[str]:
        tables = build(to_frame(spark, events), users, items, config, FIRST, date(2022, 5, 2))
        assert tables.examples.count() == len(events)
        rows = rows_of(tables.examples, "event_id")
        assert all(row["mask_play"] == (row["mask_click"] and row["label_click"] == 1) for row in rows)
        return {row["event_id"] for row in rows if row["mask_click"]}

    repeated = {events[0].event_id, events[2].event_id}
    assert counting(config) == {event.event_id for event in events}
    assert counting(config.model_copy(update={"examples": declared})) == counting(config) - repeated


def test_an_example_has_the_attributes_that_were_valid_at_the_end_of_the_day_before(
    spark: SparkSession, items: DataFrame, config: Config
) -> None:
    users = spark.createDataFrame(
        [(1, EVER, date(2022, 5, 4), "old", 1), (1, date(2022, 5, 4), date(2022, 5, 5), "new", 1)], USERS
    )
    events = to_frame(spark, [Event(user=1, item=1, day=day) for day in (4, 5, 6)])

    found = build(events, users, items, config, date(2022, 5, 3), date(2022, 5, 5))

    # On the 4th it changed: the example of that day has what it was before. On the 5th it was gone.
    cities = [(row["data_date"].day, row["user_city"]) for row in rows_of(found.examples, "data_date")]
    assert cities == [(4, "old"), (5, "new"), (6, None)]
