"""Lists inside Spark workers: users, batch by batch -> the best items of the pool for each."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pyarrow as pa

from jobs.workers.bundles import bundle_in_worker, task_numbers, to_arrays
from models.serving.bundle import Bundle
from models.serving.crosses import UserVectors
from models.serving.scorer import PairScorer, Pool

PREFIX = "_cross_"
"""What the columns of maps begin with, and no declared column does."""

RUN = ("slice", "user_cohort")
"""Columns whose values users of one forward pass share."""


def to_lists(
    bundle_name: str, items: Pool, weights: dict[str, float], top_k: int, schema: pa.Schema
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return a function of mapInArrow: users -> their top lists, in the order of the users.

    The batches hold user_id, data_date, user_cohort, bucket, slice, the user side's encoded columns, and a
    map per cross of the model; rows are sorted by slice, user_cohort and user_id. Memory: a batch of users,
    and their lists.
    """

    def lists(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        bundle = bundle_in_worker(bundle_name)
        scorer = _scorer_in_worker(bundle_name, items, tuple(sorted(weights.items())))
        for users in whole_passes(batches, scorer.users_at_once):
            yield from _lists_of(users, bundle, scorer, items, weights, top_k, schema).to_batches()

    return lists


def whole_passes(batches: Iterable[pa.RecordBatch], users_at_once: int) -> Iterator[pa.Table]:
    """Cut users anew into tables of one slice and cohort, each of whole forward passes, wherever Arrow cut.

    So a user's place in a forward pass depends on the other users of its slice and cohort alone. The last
    pass of a slice and cohort may be incomplete.
    """
    held: pa.Table | None = None
    for batch in batches:
        rows = pa.Table.from_batches([batch])
        rows = rows if held is None else pa.concat_tables([held, rows])
        *ended, open_run = _runs(rows)
        yield from ended
        passes = len(open_run) - len(open_run) % users_at_once
        if passes:
            yield open_run.slice(0, passes)
        held = open_run.slice(passes)
    if held is not None and len(held):
        yield held


def _runs(rows: pa.Table) -> list[pa.Table]:
    """Split rows where the slice or the cohort changes; no rows are one run."""
    keys = [rows[name].combine_chunks().dictionary_encode().indices.to_numpy() for name in RUN]
    is_new = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    cuts = [0, *(np.flatnonzero(is_new) + 1), len(rows)]
    return [rows.slice(start, stop - start) for start, stop in pairwise(cuts)]


def _lists_of(
    users: pa.Table,
    bundle: Bundle,
    scorer: PairScorer,
    items: Pool,
    weights: dict[str, float],
    top_k: int,
    schema: pa.Schema,
) -> pa.Table:
    """Return the lists of users of one cohort."""
    maps = users.select([name for name in users.column_names if name.startswith(PREFIX)])
    frame = users.drop_columns(maps.column_names).to_pandas()
    categorical, dense = to_arrays(frame, bundle.encoder.side("user"))
    (user_group,) = bundle.places("user_cohort", frame["user_cohort"].to_numpy()[:1])
    vectors = [
        vectors_of(of_users.combine_chunks(), len(cross.inputs))
        for of_users, cross in zip(maps.columns, scorer.crosses, strict=True)
    ]
    top = scorer.top_k(categorical, dense, int(user_group), top_k, vectors)
    count = top.item.shape[1]
    owner = np.repeat(np.arange(len(frame)), count)
    columns = {
        "user_id": users["user_id"].take(owner),
        "data_date": users["data_date"].take(owner),
        "rank": pa.array(np.tile(np.arange(1, count + 1, dtype=np.int32), len(frame))),
        "item_id": pa.array(items.item_ids[top.item.reshape(-1)]),
        "score": pa.array(top.score.reshape(-1)),
        "cohort": users["user_cohort"].take(owner),
        "model_version": pa.array([bundle.manifest.model_version] * len(owner)),
        "bucket": users["bucket"].take(owner),
    }
    for task in weights:
        columns[f"p_{task}"] = pa.array(top.probabilities[:, :, task_numbers(bundle)[task]].reshape(-1))
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)


@lru_cache(maxsize=2)
def _scorer_in_worker(bundle_name: str, items: Pool, weights: tuple[tuple[str, float], ...]) -> PairScorer:
    return PairScorer(bundle_in_worker(bundle_name), items, ranking=dict(weights))


def vectors_of(maps: pa.Array, inputs: int) -> UserVectors:
    """Return the maps of some users, null for none, as arrays.

    Args:
        maps: of one cross, one per user.
        inputs: number of inputs of the cross.
    """
    offsets = maps.offsets.to_numpy()
    own = slice(offsets[0], offsets[-1])
    vectors = maps.items[own].flatten().to_numpy(zero_copy_only=False)
    return UserVectors(
        owner=np.repeat(np.arange(len(maps)), np.diff(offsets)),
        key=maps.keys[own].to_numpy().astype(np.int64),
        values=vectors.astype(np.float32).reshape(-1, inputs),
    )
