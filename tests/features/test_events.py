import json
from datetime import UTC, date, datetime
from decimal import Decimal

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.schema import Config
from features.events import readmitted_by, to_events, with_readmissions, with_row_status
from tests.features.small import rows_of

RAW = """user bigint, video bigint, time_ms bigint, tab int, click double, play_ms bigint, note string,
    source_path string, source_sha256 string, file_date date, row_index bigint"""
FILE = ("log/2022-05-02.parquet", "5ha", date(2022, 5, 2))


def millis(day: int, hour: int) -> int:
    return int(datetime(2022, 5, day, hour, tzinfo=UTC).timestamp() * 1000)


def raw(spark: SparkSession, *rows: tuple[object, ...]) -> DataFrame:
    return spark.createDataFrame([(*row, "as is", *FILE, n) for n, row in enumerate(rows)], RAW)


def test_a_row_is_read_as_declared_and_kept_as_received(spark: SparkSession, config: Config) -> None:
    rows = raw(spark, (1, 10, millis(2, 3), None, 1.0, 21_495))

    [event] = rows_of(to_events(rows, config), "source_row_id")

    assert json.loads(event.pop("raw_row")) == {
        "user": 1,
        "video": 10,
        "time_ms": millis(2, 3),
        "tab": None,
        "click": 1.0,
        "play_ms": 21_495,
        "note": "as is",
    }
    assert event == {
        "source_row_id": "5ha:0",
        "source_path": "log/2022-05-02.parquet",
        "file_date": date(2022, 5, 2),
        "event_id": f"1:10:{millis(2, 3)}",
        "user_id": 1,
        "item_id": 10,
        "event_time": datetime(2022, 5, 2, 3),
        "tab": None,
        "is_click": 1,
        "play_seconds": Decimal("21.495"),
        "event_date": date(2022, 5, 2),
        "days_late": 0,
        "data_date": date(2022, 5, 2),
    }


def test_a_date_is_of_the_source_zone_and_beyond_the_horizon_the_files(
    spark: SparkSession, config: Config
) -> None:
    rows = raw(
        spark,
        (1, 10, millis(2, 15), 0, 0.0, 0),  # 23:00 in Shanghai
        (1, 10, millis(1, 16), 0, 0.0, 0),  # midnight there: the file's date
        (1, 10, millis(1, 15), 0, 0.0, 0),  # a day late, as allowed
        (1, 10, millis(2, 16), 0, 0.0, 0),  # the day after the file
        (1, 10, millis(1, 15) - 86_400_000, 0, 0.0, 0),  # two days late
        (1, 10, None, 0, 0.0, 0),  # no time
    )

    dates = [
        (row["event_date"], row["data_date"], row["days_late"])
        for row in rows_of(to_events(rows, config), "source_row_id")
    ]

    first, second, third = (date(2022, 5, day) for day in (1, 2, 3))
    assert dates == [
        (second, second, 0),
        (second, second, 0),
        (first, first, 1),
        (third, second, -1),
        (date(2022, 4, 30), second, 2),
        (None, second, None),
    ]


def test_events_of_a_log_without_times_are_of_their_files_date(spark: SparkSession, config: Config) -> None:
    columns = {name: c for name, c in config.source.events.columns.items() if name != "event_time"}
    events = config.source.events.model_copy(update={"columns": columns})
    without_times = config.model_copy(update={"source": config.source.model_copy(update={"events": events})})

    [event] = rows_of(to_events(raw(spark, (1, 10, None, 0, 1.0, 0)), without_times), "source_row_id")

    assert event["event_time"] == datetime(2022, 5, 1, 16)  # midnight in Shanghai
    assert (event["data_date"], event["days_late"]) == (date(2022, 5, 2), 0)


def test_a_readmitted_row_goes_to_the_date_of_its_event_however_late_it_is(
    spark: SparkSession, config: Config
) -> None:
    two_days_late = millis(1, 15) - 86_400_000
    rows = raw(
        spark,
        (1, 10, two_days_late, 0, 0.0, 0),
        (2, 10, two_days_late, 0, 0.0, 0),
        (3, 10, millis(2, 16), 0, 0.0, 0),  # the day after the file: no rule of lateness
        (4, 10, None, 0, 0.0, 0),  # no time
    )
    april, own = date(2022, 4, 30), date(2022, 5, 2)

    def dates(*readmissions: tuple[str, dict[str, str]]) -> list[tuple[object, ...]]:
        table = spark.createDataFrame(
            [*readmissions], "source_sha256 string, readmissions map<string,string>"
        )
        found = with_readmissions(to_events(rows, config), table, config)
        failed = found.withColumn("failed_rules", F.array(F.lit("odd"))).withColumn("by", readmitted_by())
        return [(r["data_date"], r["days_late"], r["by"]) for r in rows_of(failed, "source_row_id")]

    others = [(own, -1), (own, None)]
    assert dates() == [(own, 2, None), (own, 2, None), *((*row, None) for row in others)]
    assert dates(("5ha", {"row 0": "r1"})) == [
        (april, None, "r1"),
        (own, 2, None),
        *((*row, None) for row in others),
    ]
    of_rule = dates(("5ha", {"rule too_late": "r2", "rule odd": "r3"}), ("other", {"row 1": "r4"}))
    assert of_rule == [(april, None, "r2"), (april, None, "r2"), *((*row, "r3") for row in others)]
    late_and_odd = dates(("5ha", {"rule too_late": "r2"}))  # it was let in, and is still odd
    assert late_and_odd == [(april, None, "r2"), (april, None, "r2"), *((*row, None) for row in others)]


def test_bad_values_stay_for_the_suite_to_see(spark: SparkSession, config: Config) -> None:
    rows = raw(
        spark,
        (1, 10, millis(2, 3), 0, 2.0, -500),  # both wrong, both readable
        (None, 10, millis(2, 3), 0, 0.5, 10**13),  # no user; no whole number; more than fits
        (1, None, millis(2, 3), None, None, None),
    )

    events = rows_of(to_events(rows, config), "source_row_id")

    columns = ("event_id", "user_id", "item_id", "tab", "is_click", "play_seconds")
    assert [tuple(event[column] for column in columns) for event in events] == [
        (f"1:10:{millis(2, 3)}", 1, 10, 0, 2, Decimal("-0.500")),
        (None, None, 10, 0, None, None),
        (None, 1, None, None, None, None),
    ]


STATUS_ROWS = """source_row_id string, source_path string, event_id string, user_id bigint, item_id bigint,
    event_time timestamp, tab int, is_click int, play_seconds int, failed_rules array<string>,
    data_date date"""


def test_of_rows_of_one_event_one_is_kept_its_likes_are_duplicates_others_conflicts(
    spark: SparkSession, config: Config
) -> None:
    at = datetime(2022, 5, 2)
    rows = [
        # id, event, user, item, time, tab, click, seconds, failed rules -> row status, failed rules
        ("a:1", "e1", 1, 1, at, 0, 0, 9, [], "accepted", []),  # most seconds
        ("a:2", "e1", 1, 1, at, 0, 0, 9, [], "duplicate", []),  # the same again
        ("a:0", "e1", 1, 1, at, 0, 0, 5, [], "conflict", ["conflicting_event"]),
        ("b:0", "e1", 1, 1, at, 1, 0, 9, [], "conflict", ["conflicting_event"]),  # higher tab
        ("c:0", "e1", 1, 1, at, 0, 2, 99, ["is_click in {0, 1}"], "failed", ["is_click in {0, 1}"]),
        ("d:0", "e2", 1, 2, at, 0, 0, None, [], "conflict", ["conflicting_event"]),  # null is last
        ("d:1", "e2", 1, 2, at, 0, 0, 0, [], "accepted", []),
        ("e:0", "e3", 1, 3, at, None, 1, None, [], "accepted", []),  # null equals null
        ("e:1", "e3", 1, 3, at, None, 1, None, [], "duplicate", []),
        ("f:0", None, 1, 3, at, 0, 1, 1, [], "accepted", []),  # no id, so no duplicate
        ("f:1", None, 1, 3, at, 0, 1, 1, [], "accepted", []),
    ]
    given = [(row[0], f"{row[0][0]}.csv", *row[1:9], date(2022, 5, 2)) for row in rows]
    events = spark.createDataFrame(given, STATUS_ROWS)

    result = with_row_status(events, config)

    assert result.columns == [*events.columns, "row_status"]
    found = {row["source_row_id"]: (row["row_status"], row["failed_rules"]) for row in result.collect()}
    assert found == {row[0]: row[9:] for row in rows}


def test_an_event_id_that_comes_again_on_another_data_date_is_another_event(
    spark: SparkSession, config: Config
) -> None:
    at, none = datetime(2022, 5, 2), list[str]()
    rows = [
        ("a:1", "a", "e1", 1, 1, at, 0, 0, 9, none, date(2022, 5, 2)),
        ("a:2", "a", "e1", 1, 1, at, 0, 0, 9, none, date(2022, 5, 2)),
        ("b:1", "b", "e1", 1, 1, at, 0, 1, 9, none, date(2022, 5, 3)),  # as when this date is run alone
    ]

    result = with_row_status(spark.createDataFrame(rows, STATUS_ROWS), config)

    assert {row["source_row_id"]: row["row_status"] for row in result.collect()} == {
        "a:1": "accepted",
        "a:2": "duplicate",
        "b:1": "accepted",
    }


def test_a_file_that_is_offered_twice_brings_duplicates_whatever_is_wrong_with_its_rows(
    spark: SparkSession, config: Config
) -> None:
    at, none, wrong, day = datetime(2022, 5, 2), list[str](), ["is_click in {0, 1}"], date(2022, 5, 2)
    rows = [
        (row_id, path, event, 1, 1, at, 0, click, 9, failed, day)
        for path in ("y", "x")
        for row_id, event, click, failed in (
            ("a:0", "e1", 0, none),
            ("a:1", "e1", 1, none),  # a conflict with a:0
            ("a:2", "e2", 2, wrong),
            ("a:3", None, 2, wrong),
            ("a:4", None, 2, wrong),  # looks like a:3 and is another row
        )
    ]

    result = with_row_status(spark.createDataFrame(rows, STATUS_ROWS), config)

    statuses = {(r["source_path"], r["source_row_id"]): r["row_status"] for r in result.collect()}
    first = {"a:0": "accepted", "a:1": "conflict", "a:2": "failed", "a:3": "failed", "a:4": "failed"}
    assert statuses == {("x", row_id): status for row_id, status in first.items()} | {
        ("y", row_id): "duplicate" for row_id in first
    }


def test_an_id_has_no_empty_part_and_no_two_ways_to_be_read(spark: SparkSession, config: Config) -> None:
    columns = {
        name: mapping.model_copy(update={"type": "string"}) if name in ("user_id", "item_id") else mapping
        for name, mapping in config.source.events.columns.items()
    }
    source = config.source.events.model_copy(update={"columns": columns, "event_id": ("user", "video")})
    config = config.model_copy(update={"source": config.source.model_copy(update={"events": source})})
    schema = RAW.replace("user bigint, video bigint", "user string, video string")
    ids = [("a:b", "c"), ("a", "b:c"), ("a\\", ":b"), ("", "c"), ("Ünal", "東")]
    rows = [(user, video, millis(2, 3), 0, 0.0, 0, "", *FILE, n) for n, (user, video) in enumerate(ids)]

    events = rows_of(to_events(spark.createDataFrame(rows, schema), config), "source_row_id")

    assert [(event["event_id"], event["user_id"]) for event in events] == [
        ("a\\:b:c", "a:b"),
        ("a:b\\:c", "a"),
        ("a\\\\:\\:b", "a\\"),
        (None, None),
        ("Ünal:東", "Ünal"),
    ]
