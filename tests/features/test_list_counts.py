"""What is odd about lists, counted."""

from pyspark.sql import SparkSession

from features.list_counts import to_list_counts

LISTS = "list string, user_id string, rank int, item_id string"
EVENTS = "user_id string, item_id string"


def test_per_list_the_item_on_top_of_most_and_items_met_before_are_counted(spark: SparkSession) -> None:
    home = [("u1", 1, "a"), ("u1", 2, "b"), ("u2", 1, "a"), ("u2", 2, "c"), ("u3", 1, "b"), ("u3", 2, "a")]
    more = [("u1", 1, "c"), ("u2", 1, "z")]  # a tie: the first item_id
    without_items = [("u1", 1, None)]
    lists = spark.createDataFrame(
        [
            *(("home", *row) for row in home),
            *(("more", *row) for row in more),
            *(("persons", *row) for row in without_items),
        ],
        LISTS,
    )
    events = spark.createDataFrame(
        [("u1", "b"), ("u1", "b"), ("u3", "a"), ("u2", "z"), ("u9", "a")],  # u1 met b twice: it counts once
        EVENTS,
    )

    rows = sorted(to_list_counts(lists, events).collect(), key=lambda row: row["name"])

    assert [row.asDict() for row in rows] == [
        {
            "name": "home",
            "lists": 3,
            "top_item": "a",
            "lists_with_top_item": 2,
            "listed": 6,
            "seen_before": 2,
        },
        {
            "name": "more",
            "lists": 2,
            "top_item": "c",
            "lists_with_top_item": 1,
            "listed": 2,
            "seen_before": 1,
        },
    ]


def test_no_lists_count_nothing(spark: SparkSession) -> None:
    counts = to_list_counts(spark.createDataFrame([], LISTS), spark.createDataFrame([], EVENTS))

    assert counts.collect() == []
