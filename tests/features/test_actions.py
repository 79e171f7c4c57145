"""An action belongs to the latest impression before it that was delivered no later, within the horizon."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from core.schema import Config
from core.source import Behaviour, Source
from features.actions import to_actions, with_actions, with_impression
from tests.features.small import small_config

D = date(2022, 5, 3)
ORDERS = {
    "path": "orders/{data_date}.csv",
    "action_id": ["no"],
    "action_time": {"from": "at", "type": "timestamp", "unit": "s"},
    "join": {"user_id": "who", "tab": "place"},
    "horizon_hours": 24,
}
IMPRESSIONS = "event_id string, data_date date, event_time timestamp, file_date date, user_id bigint, tab int"
RAW = """no string, at string, who string, place string, amount string, source_path string,
    source_sha256 string, file_date date, row_index bigint"""


@pytest.fixture(scope="module")
def shop() -> Config:
    """The small platform, with orders in a log of their own."""
    config = small_config()
    source = config.source.model_dump(by_alias=True) | {"actions": {"order": ORDERS}}
    behaviours = {
        "has_ordered": Behaviour.model_validate({"from": "1", "action": "order", "kind": "binary"}),
        "value": Behaviour.model_validate(
            {"from": "amount", "action": "order", "kind": "number", "range": [0, 100], "decimals": 2}
        ),
    }
    return config.model_copy(
        update={"source": Source.model_validate(source), "behaviours": config.behaviours | behaviours}
    )


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A time in May 2022 in Shanghai."""
    return datetime(2022, 5, day, hour, minute, tzinfo=UTC) - timedelta(hours=8)


def shown(event_id: str, day: int, hour: int, delivered: int | None = None, tab: int = 1) -> tuple[Any, ...]:
    return (event_id, date(2022, 5, day), at(day, hour), date(2022, 5, delivered or day), 7, tab)


def ordered(
    no: str | None,
    day: int,
    hour: int,
    amount: str | None = "5",
    file: int | None = None,
    who: str = "7",
    tab: int = 1,
) -> tuple[Any, ...]:
    instant = str(int(at(day, hour).timestamp()))
    file_date = date(2022, 5, file or day)
    return (no, instant, who, str(tab), amount, f"orders/{file_date}.csv", f"s{file_date}", file_date)


def placed(spark: SparkSession, shop: Config, impressions: list[Any], orders: list[Any]) -> DataFrame:
    raw = spark.createDataFrame([(*row, number) for number, row in enumerate(orders)], RAW)
    actions = to_actions(raw, "order", shop)
    known = spark.createDataFrame(impressions, IMPRESSIONS)
    return with_impression(actions, known, shop.source.actions["order"], shop)


def test_each_order_has_its_impression_or_a_rule(spark: SparkSession, shop: Config) -> None:
    impressions = [
        shown("early", 2, 9),
        shown("noon", 3, 12),
        shown("noon again", 3, 12),
        shown("noon", 3, 12, delivered=4),  # came again: still of the file of the 3rd
        shown("other place", 3, 13, tab=2),
        shown("late", 3, 14, delivered=4),
    ]
    orders = [
        ordered("1", 3, 8),  # the day before, 23 hours
        ordered("2", 3, 12),  # at the same instant as two
        ordered("3", 3, 15),  # the one of 14:00 was not delivered yet
        ordered("4", 3, 15, file=4),  # now it was
        ordered("5", 4, 15),  # 25 hours after the last
        ordered("6", 3, 9, tab=2),  # before it
        ordered("1", 3, 8, file=4),  # comes again
        ordered("7", 2, 9, file=3, amount="101"),
        ordered("8", 5, 9, file=4),
        ordered("9", 2, 9, file=4),  # two days late
        ordered("10", 3, 8, file=4),  # its impression of the 2nd would be
        ordered(None, 3, 12),
        ordered("11", 3, 12, who="x"),
        ordered("12", 3, 20, amount=None),  # a value of null is fine
    ]

    rows = placed(spark, shop, impressions, orders).collect()

    by_number = sorted(rows, key=lambda row: int(row["source_row_id"].split(":")[1]))
    found = [(r["row_status"], r["event_id"] or (r["failed_rules"] or [None])[0]) for r in by_number]
    assert found == [
        ("attributed", "early"),
        ("attributed", "noon again"),
        ("attributed", "noon again"),
        ("attributed", "late"),
        ("failed", "no_impression"),
        ("failed", "no_impression"),
        ("duplicate", None),
        ("failed", "value_out_of_range"),
        ("failed", "action_after_its_file"),
        ("failed", "too_late"),
        ("failed", "too_late"),
        ("failed", "unreadable_action"),
        ("failed", "unreadable_action"),
        ("attributed", "noon again"),
    ]
    assert by_number[0]["event_date"] == date(2022, 5, 2)


def test_a_log_that_is_offered_twice_brings_duplicates_whatever_is_wrong_with_its_rows(
    spark: SparkSession, shop: Config
) -> None:
    orders = [ordered("1", 3, 13), ordered("2", 3, 9), ordered(None, 3, 12)]
    placed_in_file = [(*row, place) for place, row in enumerate(orders)]
    copies = [(*row[:5], "orders/again.csv", *row[6:]) for row in placed_in_file]
    actions = to_actions(spark.createDataFrame([*placed_in_file, *copies], RAW), "order", shop)
    known = spark.createDataFrame([shown("noon", 3, 12)], IMPRESSIONS)

    rows = with_impression(actions, known, shop.source.actions["order"], shop).collect()

    found = sorted((row["source_row_id"][-1], row["row_status"]) for row in rows)
    assert found == [
        ("0", "attributed"),
        ("0", "duplicate"),
        ("1", "duplicate"),
        ("1", "failed"),
        ("2", "duplicate"),
        ("2", "failed"),
    ]


def test_a_file_says_the_same_whatever_comes_after_it(spark: SparkSession, shop: Config) -> None:
    impressions = [shown("a", 3, 9), shown("b", 3, 10, delivered=4), shown("c", 4, 9)]
    orders = [ordered("1", 3, 11), ordered("2", 3, 8)]
    later = [ordered("1", 4, 11), ordered("3", 4, 11)]

    def of_the_3rd(known: list[Any], given: list[Any]) -> list[tuple[Any, ...]]:
        rows = placed(spark, shop, known, given).where(f"file_date = DATE'{D}'").collect()
        return sorted((r["action_id"], r["row_status"], r["event_id"], *r["failed_rules"]) for r in rows)

    assert of_the_3rd(impressions[:1], orders) == of_the_3rd(impressions, [*orders, *later])


def test_a_behaviour_is_what_all_actions_of_an_impression_say(spark: SparkSession, shop: Config) -> None:
    impressions = [shown("a", 3, 9), shown("b", 3, 9, tab=2), shown("c", 3, 9, tab=3)]
    orders = [
        ordered("1", 3, 10, "5.25"),
        ordered("2", 3, 11, "0.75"),
        ordered("3", 3, 11, None),
        ordered("4", 3, 11, None, tab=2),
    ]
    events = spark.createDataFrame(
        [(name, D, 0, Decimal(0)) for name in "abc"],
        "event_id string, data_date date, has_ordered tinyint, value decimal(12,2)",
    )

    rows = with_actions(events, placed(spark, shop, impressions, orders), "order", shop)

    assert dict(rows.dtypes) == dict(events.dtypes)
    assert {r["event_id"]: (r["has_ordered"], r["value"]) for r in rows.collect()} == {
        "a": (1, Decimal("6.00")),
        "b": (1, Decimal(0)),
        "c": (0, Decimal(0)),
    }
