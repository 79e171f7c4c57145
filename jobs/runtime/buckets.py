"""Buckets of a table's data date: each is a commit, so that a run that was ended early can be continued."""

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

from jobs.runtime.progress import report_progress
from jobs.tables.history import Metadata
from jobs.tables.store import Store, key_where

if TYPE_CHECKING:
    from jobs.runtime.run import Run


def buckets_to_commit(run: "Run", table: str, count: int) -> Iterator[int]:
    """Yield the buckets that a run that was ended early has left, with progress; all after one that was not.

    Args:
        run: whose data date.
        table: that gets them.
        count: number of buckets.
    """
    done = run.committed_buckets(table, count)
    done = done if len(done) < count else set()
    if done:
        run.note(f"{len(done)} of {count} buckets were there before")
    for bucket in sorted(set(range(count)) - done):
        if count > 1:
            report_progress(bucket, count, "buckets")
        yield bucket


def committed_buckets(store: Store, table: str, data_date: date, fingerprint: str, count: int) -> set[int]:
    """Return the buckets of a data date that hold what a run with this fingerprint commits.

    Args:
        store: of the tables.
        table: with the partition columns data_date and bucket.
        data_date: whose.
        fingerprint: of the data date's partition.
        count: number of buckets; those of another number are none of this run's.
    """
    found: set[int] = set()
    for metadata in store.commits(table).values():
        made_by = metadata.get("partitions", {}).get(str(data_date))
        if made_by is None:
            continue
        bucket, of = metadata.get("bucket", (None, 0))
        if made_by == fingerprint and of == count:
            found.add(bucket)
        else:
            found = _others(found, metadata)
    return {bucket for bucket in found if _is_whole(store, table, data_date, bucket)}


def bucket_where(bucket: int, count: int) -> str:
    """Return the predicate of the rows that a bucket replaces; the last takes those of further ones away."""
    return f"bucket {'>=' if bucket == count - 1 else '='} {bucket}"


def _others(found: set[int], metadata: Metadata) -> set[int]:
    """Return the buckets that a commit of another run has left."""
    if "bucket" not in metadata:
        return set()
    bucket, of = metadata["bucket"]
    return {each for each in found if each != bucket and not (bucket == of - 1 and each >= bucket)}


def _is_whole(store: Store, table: str, data_date: date, bucket: int) -> bool:
    return store.is_whole(table, key_where({"data_date": data_date, "bucket": bucket}))
