from pyspark.sql import SparkSession

from features.casts import read_as


def test_what_is_no_such_value_is_null_and_a_fraction_is_no_integer(spark: SparkSession) -> None:
    rows = spark.createDataFrame(
        [("7", 2.0), ("x", 0.5), ("300", None), ("1.5", 1e12)], "text string, number double"
    )

    read = rows.select(
        read_as("text", "tinyint"), read_as("number", "int"), read_as("text", "string")
    ).collect()

    assert [tuple(row) for row in read] == [
        (7, 2, "7"),
        (None, None, "x"),
        (None, None, "300"),
        (None, None, "1.5"),
    ]
