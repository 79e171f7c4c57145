"""What is odd about lists, counted."""

from pyspark.sql import SparkSession

from features.list_counts import to_list_counts

LISTS = "user_id string, rank int, item_id string"
EVENTS = "user_id string, item_id string"


def test_the_item_on_top_of_most_lists_and_items_met_before_are_counted(spark: SparkSession) -> None:
    lists = spark.createDataFrame(
        [("u1", 1, "a"), ("u1", 2, "b"), ("u2", 1, "a"), ("u2", 2, "c"), ("u3", 1, "b"), ("u3", 2, "a")],
        LISTS,
    )
    events = spark.createDataFrame(
        [("u1", "b"), ("u1", "b"), ("u3", "a"), ("u2", "z"), ("u9", "a")],  # u1 met b twice: it counts once
        EVENTS,
    )

    (row,) = to_list_counts(lists, events).collect()

    assert row.asDict() == {
        "lists": 3,
        "top_item": "a",
        "lists_with_top_item": 2,
        "listed": 6,
        "seen_before": 2,
    }


def test_no_lists_count_nothing(spark: SparkSession) -> None:
    (row,) = to_list_counts(spark.createDataFrame([], LISTS), spark.createDataFrame([], EVENTS)).collect()

    assert (row["lists"], row["top_item"], row["lists_with_top_item"], row["seen_before"]) == (0, "", 0, 0)
