import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from core.columns import feature_columns
from core.features import Aggregate, FeatureGroup
from core.schema import Config
from features.entities import to_known_keys
from features.tiles import to_daily_tiles
from features.windows import longest_window_days, no_state, to_features, unknown_defaults
from tests.features.small import EVER, USERS, Event, rows_of, to_frame

DAYS = range(1, 11)
EMPTY_DAYS = (4, 8)


def test_windows_end_with_the_data_date_and_users_without_events_have_zeros(
    spark: SparkSession, config: Config
) -> None:
    events = [
        Event(user=1, item=7, day=1, click=1, seconds="9"),  # 3 days before the 4th: all-time only
        Event(user=1, item=7, day=2, click=1, seconds="2.5", tab=1),
        Event(user=1, item=8, day=4, click=0, seconds="0.5", tab=3),
        Event(user=1, item=8, day=5, click=1, seconds="77"),  # the day after: unseen
    ]
    users = spark.createDataFrame([(1, EVER, None, "a", 30), (2, EVER, None, "b", None)], USERS)
    tiles = to_daily_tiles(to_frame(spark, events), "user", config.features.user, config.behaviours)

    active, without_events = rows_of(features_of(tiles, users, config, 4, 4), "user_id")

    assert active == {
        "user_id": 1,
        "data_date": date(2022, 5, 4),
        "user_is_never_seen": False,
        "user_recency_days": 0,
        "user_first_event_time_all": datetime(2022, 5, 4, 12),  # the state is empty: it has no earlier day
        "user_last_data_date_all": date(2022, 5, 4),
        "user_impression_count_1d": 1,
        "user_impression_count_3d": 2,
        "user_impression_count_all": 1,
        "user_click_count_3d": 1,
        "user_click_count_all": 0,
        "user_tab_1_count_3d": 1,
        "user_play_seconds_3d": Decimal("3.000"),
        "user_play_seconds_all": Decimal("0.500"),
        "user_longest_click_seconds_3d": Decimal("2.500"),
        "user_longest_click_seconds_all": None,
        "user_lowest_tab_1d": 3,
        "user_lowest_tab_all": 3,
        "user_click_rate_3d": 0.5,
        "user_click_rate_all": 0.0,
        "user_smooth_rate_3d": (1 + 0.3 * 7) / (2 + 7),
        "user_city": "a",
        "user_age": 30,
    }
    assert without_events == {
        "user_id": 2,
        "data_date": date(2022, 5, 4),
        **unknown_defaults(config.features.user, "user"),
        "user_city": "b",
    }


def test_a_row_has_the_declared_columns_and_types(spark: SparkSession, config: Config) -> None:
    users = spark.createDataFrame([], USERS)
    tiles = to_daily_tiles(to_frame(spark, []), "user", config.features.user, config.behaviours)

    features = features_of(tiles, users, config, 1, 1)

    assert features.columns == ["user_id", "data_date", *feature_columns(config.features.user, "user")]
    assert list(unknown_defaults(config.features.user, "user")) == features.columns[2:]
    assert [data_type for _, data_type in features.dtypes][2:] == [
        "boolean", "int", "timestamp", "date",
        "bigint", "bigint", "bigint",  # impressions
        "bigint", "bigint", "bigint",  # clicks, impressions on tab 1
        "decimal(22,3)", "decimal(22,3)", "decimal(12,3)", "decimal(12,3)",
        "int", "int",
        "double", "double", "double",
        "string", "int",
    ]  # fmt: skip


def test_one_date_reads_as_many_days_of_tiles_as_its_longest_window(config: Config) -> None:
    all_time = Aggregate(name="impression_count", agg="count", windows=("all",))

    assert longest_window_days(config.features.user) == 3
    assert longest_window_days(FeatureGroup(aggregates=(all_time,))) == 1
    assert longest_window_days(FeatureGroup(aggregates=())) == 1


# --- a range, its dates, and a recomputation from raw events ----------------------------------------


@pytest.fixture(scope="module")
def log() -> list[Event]:
    """A random log: users 1-30 have attributes, 25-30 no events, 31-40 events only, 11-20 enter late."""
    chance = random.Random(5)
    users = [u for u in range(1, 41) if not 25 <= u <= 30]
    events = []
    for number in range(500):
        user = chance.choice(users)
        day = chance.randint(5 if 11 <= user <= 20 else 1, max(DAYS))
        if day not in EMPTY_DAYS:
            seconds = str(chance.randint(0, 10**6) / 1000)
            click, tab, hour = chance.randint(0, 1), chance.randint(0, 2), chance.randint(0, 15)
            events.append(Event(user, chance.randint(1, 9), day, click, seconds, tab, hour, number))
    return events


@pytest.fixture(scope="module")
def users(spark: SparkSession) -> DataFrame:
    """Attributes of users 1-30; 21 and 25 come late, 22 and 26 go early, 23 changes."""
    since, until = {21: date(2022, 5, 4), 25: date(2022, 5, 4)}, {22: date(2022, 5, 6), 26: date(2022, 5, 6)}
    rows = [(u, since.get(u, EVER), until.get(u), f"city {u % 3}", 20 + u) for u in range(1, 31) if u != 23]
    rows += [(23, EVER, date(2022, 5, 7), "before", 1), (23, date(2022, 5, 7), None, "after", 2)]
    return spark.createDataFrame(rows, USERS).persist()


@pytest.fixture(scope="module")
def tiles(spark: SparkSession, log: list[Event], config: Config) -> DataFrame:
    return to_daily_tiles(to_frame(spark, log), "user", config.features.user, config.behaviours).persist()


@pytest.fixture(scope="module")
def whole_range(tiles: DataFrame, users: DataFrame, config: Config) -> DataFrame:
    """Features as of all days, in one pass from nothing."""
    return features_of(tiles, users, config, min(DAYS), max(DAYS)).persist()


def test_a_range_equals_a_recomputation_from_all_events_up_to_each_date(
    whole_range: DataFrame, log: list[Event], users: DataFrame
) -> None:
    versions = [row.asDict() for row in users.collect()]
    expected = [row for day in DAYS for row in recomputed(log, versions, day)]

    found = rows_of(whole_range, "data_date", "user_id")

    assert len(found) > 250
    assert found == expected


@pytest.mark.parametrize(("first", "last"), [(2, 2), (5, 5), (9, 10)])
def test_dates_taken_after_their_state_equal_the_range(
    tiles: DataFrame, users: DataFrame, whole_range: DataFrame, config: Config, first: int, last: int
) -> None:
    state = whole_range.where(whole_range.data_date == may_date(first - 1))
    window = longest_window_days(config.features.user)
    needed = tiles.where(tiles.data_date.between(may_date(first - window + 1), may_date(last)))

    taken = features_of(needed, users, config, first, last, state)

    expected = whole_range.where(whole_range.data_date.between(may_date(first), may_date(last)))
    assert rows_of(taken, "data_date", "user_id") == rows_of(expected, "data_date", "user_id")


def may_date(day: int) -> date:
    return date(2022, 5, 1) + timedelta(days=day - 1)


def features_of(
    tiles: DataFrame, users: DataFrame, config: Config, first: int, last: int, state: DataFrame | None = None
) -> DataFrame:
    declared = config.features.user
    before = no_state(tiles, declared, "user") if state is None else state
    days = (may_date(first), may_date(last))
    up_to_last = tiles.where(tiles.data_date <= days[1])
    keys = to_known_keys(users, up_to_last, before, "user", *days)
    return to_features(keys, tiles, before, users, declared, "user", *days)


def recomputed(log: list[Event], versions: list[dict[str, Any]], day: int) -> Iterator[dict[str, Any]]:
    """The features of small.CONFIG, from raw events, in plain Python."""
    as_of = may_date(day)
    described = {
        v["user_id"]: v
        for v in versions
        if v["valid_from"] <= as_of and (v["valid_to"] is None or as_of < v["valid_to"])
    }
    history = [event for event in log if event.day <= day]
    for user in sorted(described.keys() | {event.user for event in history}):
        events = [event for event in history if event.user == user]
        in_3d = [event for event in events if event.day > day - 3]
        in_1d = [event for event in events if event.day == day]
        clicks, clicks_3d = sum(e.click for e in events), sum(e.click for e in in_3d)
        last = max((e.data_date for e in events), default=None)
        times = [datetime(2022, 5, e.day, e.hour, tzinfo=UTC).replace(tzinfo=None) for e in events]
        yield {
            "user_id": user,
            "data_date": as_of,
            "user_is_never_seen": not events,
            "user_recency_days": (as_of - last).days if last else None,
            "user_first_event_time_all": min(times, default=None),
            "user_last_data_date_all": last,
            "user_impression_count_1d": len(in_1d),
            "user_impression_count_3d": len(in_3d),
            "user_impression_count_all": len(events),
            "user_click_count_3d": clicks_3d,
            "user_click_count_all": clicks,
            "user_tab_1_count_3d": sum(e.tab == 1 for e in in_3d),
            "user_play_seconds_3d": sum((Decimal(e.seconds) for e in in_3d), Decimal(0)),
            "user_play_seconds_all": sum((Decimal(e.seconds) for e in events), Decimal(0)),
            "user_longest_click_seconds_3d": max(
                (Decimal(e.seconds) for e in in_3d if e.click), default=None
            ),
            "user_longest_click_seconds_all": max(
                (Decimal(e.seconds) for e in events if e.click), default=None
            ),
            "user_lowest_tab_1d": min((e.tab for e in in_1d), default=None),
            "user_lowest_tab_all": min((e.tab for e in events), default=None),
            "user_click_rate_3d": clicks_3d / len(in_3d) if in_3d else None,
            "user_click_rate_all": clicks / len(events) if events else None,
            "user_smooth_rate_3d": (clicks_3d + 0.3 * 7) / (len(in_3d) + 7) if in_3d else None,
            "user_city": described.get(user, {}).get("user_city"),
            "user_age": described.get(user, {}).get("user_age"),
        }
