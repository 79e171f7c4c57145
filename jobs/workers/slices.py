"""How the users of a night are divided: buckets are committed apart, slices are what a task scores.

A slice holds the users of one hash value, so that it does not depend on how many tasks run at once.
"""

from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.partitions import partition_key

USERS_PER_BUCKET, MOST_BUCKETS = 50_000, 16
"""A commit costs 1 to 4 s, and each bucket reads the features of all users once."""

USERS_PER_SLICE, LEAST_SLICES = 6_250, 8
"""A task costs about 0.1 s; few slices would leave cores idle."""


class Slices(NamedTuple):
    """Numbers of buckets, and of slices in each.

    Attributes:
        buckets: one for up to USERS_PER_BUCKET users, never more than MOST_BUCKETS.
        per_bucket: slices of a bucket.
    """

    buckets: int
    per_bucket: int

    @classmethod
    def of(cls, users: int) -> "Slices":
        """Return the numbers for so many users."""
        buckets = min(max(_ratio(users, USERS_PER_BUCKET), 1), MOST_BUCKETS)
        return cls(buckets, max(_ratio(users, buckets * USERS_PER_SLICE), LEAST_SLICES))

    @property
    def slice(self) -> Column:
        """The slice of a row with a user_id; of one bucket, the partition of `repartition` by user_id."""
        return F.pmod(F.hash("user_id"), F.lit(self.buckets * self.per_bucket)).cast("int")

    @property
    def bucket(self) -> Column:
        """The bucket of a row with a user_id."""
        return F.pmod(self.slice, F.lit(self.buckets)).cast("int")

    def of_bucket(self, users: DataFrame, bucket: int) -> DataFrame:
        """Return the users of a bucket."""
        return users if self.buckets == 1 else users.where(self.bucket == bucket)

    def spread(self, users: DataFrame) -> DataFrame:
        """Return the users of a bucket with each slice in a partition of its own."""
        if self.buckets == 1:
            return users.repartition(self.per_bucket, "user_id")
        number = F.floor(self.slice / self.buckets).cast("int")  # of the slice in its bucket
        return users.repartition(self.per_bucket, partition_key(users.sparkSession, number, self.per_bucket))


def _ratio(count: int, per: int) -> int:
    return -(-count // per)
