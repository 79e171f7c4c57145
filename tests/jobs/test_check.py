"""An id is known to the audits if its attributes are valid on the data date."""

from datetime import date

from pyspark.sql import SparkSession

from jobs.check import with_known
from tests.features.small import EVER, USERS

FIRST, SECOND = date(2022, 5, 3), date(2022, 5, 4)


def test_an_event_counts_once_however_many_versions_its_user_has(spark: SparkSession) -> None:
    users = spark.createDataFrame(
        [(1, EVER, SECOND, "a", 1), (1, SECOND, None, "b", 1), (2, SECOND, None, "a", 1)], USERS
    )
    events = spark.createDataFrame(
        [(1, FIRST), (1, SECOND), (2, FIRST), (2, SECOND), (3, SECOND)], "user_id bigint, data_date date"
    )

    rows = with_known(events, users, "user").collect()

    found = sorted((row["user_id"], row["data_date"], row["known_user"]) for row in rows)
    assert found == [(1, FIRST, 1), (1, SECOND, 1), (2, FIRST, None), (2, SECOND, 1), (3, SECOND, None)]
