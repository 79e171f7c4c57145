"""Users of a cell are counted, not rows."""

from pyspark.sql import SparkSession

from core.schema import Task
from features.cell_users import to_cell_users

TASKS = (
    Task(name="click", label="x", kind="binary"),
    Task(name="seconds", label="y", kind="regression"),
)


def test_users_of_each_class_are_counted_once(spark: SparkSession) -> None:
    rows = spark.createDataFrame(
        [
            (1, "new", 1.0, True, 5.0, True),
            (1, "new", 1.0, True, 7.0, True),  # the same user, the same class
            (1, "new", 0.0, True, None, False),  # counts in both classes
            (2, "new", 0.0, True, None, False),
            (3, "new", 1.0, False, 9.0, True),  # outside of click's sample space
            (5, "new", 0.0, False, None, False),  # in no sample space
            (4, "old", None, False, None, False),  # in no sample space
        ],
        "user_id int, user_cohort string, label_click double, mask_click boolean, label_seconds double, "
        "mask_seconds boolean",
    )

    found = {(r["task"], r["user_cohort"]): tuple(r)[2:] for r in to_cell_users(rows, TASKS).collect()}

    assert found == {
        ("click", "new"): (2, 1, 2),
        ("click", "old"): (0, 0, 0),
        ("seconds", "new"): (2, None, None),
        ("seconds", "old"): (0, None, None),
    }
