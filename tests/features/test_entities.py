from datetime import date

from pyspark.sql import SparkSession

from core.schema import Config
from features.entities import to_entities, to_known_keys
from tests.features.small import EVER, USERS, rows_of

FIRST, LAST = date(2022, 5, 2), date(2022, 5, 4)


def test_an_undated_snapshot_is_always_valid(spark: SparkSession, config: Config) -> None:
    raw = spark.createDataFrame([(1, "Xi'an", "31"), (2, None, "old")], "user int, city string, age string")

    users = to_entities(raw, config.source.users, "user")

    assert dict(users.dtypes)["user_id"] == "bigint"
    assert rows_of(users, "user_id") == [
        {"user_id": 1, "valid_from": EVER, "valid_to": None, "user_city": "Xi'an", "user_age": 31},
        {"user_id": 2, "valid_from": EVER, "valid_to": None, "user_city": None, "user_age": None},
    ]


def test_a_row_without_a_readable_key_describes_no_user(spark: SparkSession, config: Config) -> None:
    raw = spark.createDataFrame(
        [("1", "a", 31), ("", "b", 32), (None, "c", 33), ("x", "d", 34)], "user string, city string, age int"
    )

    users = to_entities(raw, config.source.users, "user")

    assert [row["user_city"] for row in users.collect()] == ["a"]


def test_known_keys_are_valid_then_or_have_an_event_up_to_then(spark: SparkSession) -> None:
    users = spark.createDataFrame(
        [
            (1, EVER, None, "a", 1),  # always there, and seen on the 3rd: still one key a day
            (2, date(2022, 5, 3), None, "a", 1),  # from the second day
            (3, EVER, date(2022, 5, 3), "a", 1),  # valid_to is exclusive: the first day only
            (4, date(2022, 5, 5), None, "a", 1),  # after the range
            (5, EVER, date(2022, 5, 2), "a", 1),  # before the range
            (6, EVER, date(2022, 5, 3), "a", 1),  # gone on the 3rd, seen on the 4th
            (9, EVER, date(2022, 5, 3), "a", 1),  # two versions, one key a day
            (9, date(2022, 5, 3), None, "b", 1),
        ],
        USERS,
    )
    tiles = spark.createDataFrame(
        [(1, date(2022, 5, 3)), (6, date(2022, 5, 4)), (7, date(2022, 5, 3)), (7, date(2022, 5, 4))],
        "user_id bigint, data_date date",
    )
    state = spark.createDataFrame(
        [(8, date(2022, 4, 1)), (5, None)],  # 5 was described once, but never seen
        "user_id bigint, user_last_data_date_all date",
    )

    keys = to_known_keys(users, tiles, state, "user", FIRST, LAST)

    known = [(row["user_id"], row["data_date"].day) for row in rows_of(keys, "user_id", "data_date")]
    assert known == [
        (1, 2), (1, 3), (1, 4),
        (2, 3), (2, 4),
        (3, 2),
        (6, 2), (6, 4),
        (7, 3), (7, 4),
        (8, 2), (8, 3), (8, 4),
        (9, 2), (9, 3), (9, 4),
    ]  # fmt: skip
