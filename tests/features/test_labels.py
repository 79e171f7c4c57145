from pyspark.sql import SparkSession

from core.schema import Task
from features.labels import label, mask


def test_a_row_counts_inside_the_sample_space_and_with_a_known_label(spark: SparkSession) -> None:
    rows = spark.createDataFrame(
        [(1, 1, 2.5), (1, 0, None), (0, None, 1.0), (None, 1, 4.0)],
        "is_click int, is_like int, seconds double",
    )
    like = Task(name="like", label="is_like = 1", kind="binary", where="is_click = 1")
    play = Task(name="play", label="seconds", kind="regression")

    found = rows.select(label(like, rows), mask(like, rows), label(play, rows), mask(play, rows))

    assert found.columns == ["label_like", "mask_like", "label_play", "mask_play"]
    assert [tuple(row) for row in found.collect()] == [
        (1.0, True, 2.5, True),
        (0.0, True, None, False),  # play time unknown
        (None, False, 1.0, True),  # not clicked, like unknown
        (1.0, False, 4.0, True),  # whether it was clicked is unknown: outside
    ]


def test_a_label_that_is_no_number_is_not_known(spark: SparkSession) -> None:
    rows = spark.createDataFrame([("4.5",), ("n/a",), ("",), (None,)], "grade string")
    task = Task(name="grade", label="grade", kind="regression")

    found = rows.select(label(task, rows), mask(task, rows)).collect()

    assert [tuple(row) for row in found] == [(4.5, True), (None, False), (None, False), (None, False)]


def test_a_label_that_is_not_finite_is_not_known(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(1e308,), (float("inf"),), (float("-inf"),), (float("nan"),)], "x double")
    task = Task(name="x", label="x", kind="regression")

    found = rows.select(label(task, rows), mask(task, rows)).collect()

    assert [tuple(row) for row in found] == [(1e308, True), (None, False), (None, False), (None, False)]


def test_where_is_null_a_row_is_outside_whatever_its_label(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(1, 3), (1, None), (0, 4)], "is_like int, tab int")
    task = Task(name="like", label="is_like = 1", kind="binary", where="tab BETWEEN 2 AND 3")

    found = rows.select(label(task, rows), mask(task, rows)).collect()

    assert [tuple(row) for row in found] == [(1.0, True), (1.0, False), (0.0, False)]
