"""Which buckets a run finds committed."""

from collections.abc import Mapping
from datetime import date
from typing import Any, cast

import pytest

from jobs.runtime.buckets import bucket_where, committed_buckets
from jobs.tables.store import Store

DAY = date(2022, 5, 7)


class Commits:
    """The log of a table, and the buckets whose files are lost."""

    def __init__(self, *commits: Mapping[str, Any], lost: tuple[int, ...] = ()) -> None:
        self._commits, self._lost = dict(enumerate(commits)), lost

    def commits(self, table: str) -> Mapping[int, Mapping[str, Any]]:
        return self._commits

    def is_whole(self, table: str, predicate: str) -> bool:
        return not any(predicate.endswith(f'"bucket" = {bucket}') for bucket in self._lost)


def commit(fingerprint: str, bucket: int, of: int, day: date = DAY) -> dict[str, Any]:
    return {"partitions": {str(day): fingerprint}, "bucket": [bucket, of]}


@pytest.mark.parametrize(
    ("commits", "expected"),
    [
        ([], set()),
        ([{}], set()),  # of another writer
        ([commit("a", 0, 3), commit("a", 1, 3)], {0, 1}),
        ([commit("b", 0, 3), commit("a", 1, 3)], {1}),
        ([commit("a", 0, 3), commit("b", 0, 3)], set()),  # replaced since
        ([commit("a", 0, 3), commit("a", 1, 3), commit("b", 1, 3)], {0}),
        ([commit("a", 0, 3), commit("a", 2, 3), commit("b", 1, 2)], {0}),  # the last of two took 2 away
        ([commit("a", 0, 2)], set()),  # of another number of buckets
        ([commit("a", 0, 3), {"partitions": {str(DAY): "a"}}], set()),  # the whole date was replaced
        ([commit("a", 0, 3, day=date(2022, 5, 6))], set()),
    ],
)
def test_a_bucket_is_committed_if_the_last_commit_of_it_has_our_fingerprint(
    commits: list[dict[str, Any]], expected: set[int]
) -> None:
    store = cast(Store, Commits(*commits))

    assert committed_buckets(store, "scores_staging", DAY, "a", 3) == expected


def test_a_bucket_that_has_lost_a_file_is_not_committed() -> None:
    store = cast(Store, Commits(commit("a", 0, 3), commit("a", 1, 3), lost=(1,)))

    assert committed_buckets(store, "scores_staging", DAY, "a", 3) == {0}


def test_the_last_bucket_replaces_those_beyond_it() -> None:
    assert [bucket_where(bucket, 3) for bucket in range(3)] == ["bucket = 0", "bucket = 1", "bucket >= 2"]
    assert bucket_where(0, 1) == "bucket >= 0"
