"""Parts that tiles and state of earlier dates lack are taken from tiles made of events."""

from datetime import date

from pyspark.sql import DataFrame, SparkSession

from core.features import FeatureGroup
from features.filling import with_state_parts, with_tile_parts

DAY, NEXT = date(2024, 2, 28), date(2024, 2, 29)
FEATURES = FeatureGroup.model_validate(
    {
        "aggregates": [
            {"name": "view_count", "agg": "count", "windows": ["2d", "all"]},
            {"name": "click_count", "agg": "sum", "of": "is_click", "windows": ["all"]},
        ]
    }
)
TILE = "user_id string, data_date date, first_event_time timestamp, "


def rows(frame: DataFrame, *columns: str) -> set[tuple[object, ...]]:
    return {tuple(row) for row in frame.select(*columns).collect()}


def at(day: date) -> str:
    return f"{day} 09:00:00"


def tiles(spark: SparkSession, columns: str, *values: tuple[object, ...]) -> DataFrame:
    """Tiles: user, date, then counts."""
    found = [(user, day, at(day), *counts) for user, day, *counts in values]  # type: ignore[str-bytes-safe]
    frame = spark.createDataFrame(found, (TILE + columns).replace("timestamp", "string"))
    return frame.withColumn("first_event_time", frame.first_event_time.cast("timestamp"))


def test_parts_of_tiles_are_replaced_and_other_parts_stay(spark: SparkSession) -> None:
    stored = tiles(
        spark,
        "view_count bigint, click_count bigint",
        ("a", DAY, 3, None),
        ("b", DAY, 2, 9),
        ("a", NEXT, 1, None),
    )
    made = tiles(spark, "click_count bigint", ("a", DAY, 1), ("b", DAY, 0), ("a", NEXT, 1))

    found = with_tile_parts(stored, made, FEATURES, {"click_count"}, "user")

    assert found.columns == stored.columns
    assert rows(found, "user_id", "data_date", "view_count", "click_count") == {
        ("a", DAY, 3, 1),
        ("b", DAY, 2, 0),  # what an older declaration counted is gone
        ("a", NEXT, 1, 1),
    }


def test_all_time_parts_of_a_state_are_the_merge_of_all_tiles(spark: SparkSession) -> None:
    state = spark.sql(
        f"SELECT 'a' user_id, TIMESTAMP'{at(DAY)}' user_first_event_time_all, "
        f"DATE'{NEXT}' user_last_data_date_all, 4L user_view_count_all"
    )
    made = tiles(spark, "click_count bigint", ("a", DAY, 1), ("a", NEXT, 1))

    found = with_state_parts(state, made, FEATURES, {"click_count"}, "user")

    columns = ("user_id", "user_last_data_date_all", "user_view_count_all", "user_click_count_all")
    assert rows(found, *columns) == {("a", NEXT, 4, 2)}


def test_a_group_without_a_state_gets_its_keys_and_when_they_were_seen(spark: SparkSession) -> None:
    none = spark.createDataFrame(
        [],
        "user_id string, user_first_event_time_all timestamp, user_last_data_date_all date, "
        "user_view_count_all bigint, user_click_count_all bigint",
    )
    made = tiles(
        spark, "view_count bigint, click_count bigint", ("a", DAY, 3, 1), ("a", NEXT, 1, 0), ("b", DAY, 1, 0)
    )

    found = with_state_parts(none, made, FEATURES, {"view_count", "click_count"}, "user")

    columns = ("user_id", "user_last_data_date_all", "user_view_count_all", "user_click_count_all")
    assert rows(found, *columns) == {("a", NEXT, 4, 1), ("b", DAY, 1, 0)}
    assert rows(found, "user_first_event_time_all") == {
        (row["first_event_time"],) for row in made.where(f"data_date = DATE'{DAY}'").collect()
    }
