"""Lists inside Spark workers: the users of a bucket -> the best items of the pool for each."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.workers.bundles import bundle_in_worker, task_numbers, to_arrays
from models.serving.crosses import UserVectors
from models.serving.scorer import PairScorer, Pool, TopK

PREFIX = "_cross_"
"""What the columns of maps begin with, and no declared column does."""


def to_lists(
    path: str, items: Pool, weights: dict[str, float], top_k: int, schema: pa.Schema
) -> Callable[[pa.Table], pa.Table]:
    """Function of applyInArrow: the users of one bucket -> their top lists.

    The table holds user_id, data_date, user_cohort, bucket, the user side's encoded columns, and a map per
    cross of the model.
    """

    def lists(users: pa.Table) -> pa.Table:
        bundle = bundle_in_worker(path)
        scorer = _scorer_in_worker(path, items, tuple(sorted(weights.items())))
        users = users.sort_by("user_id")  # so that a rerun sees the same rows in the same order
        maps = [name for name in users.column_names if name.startswith(PREFIX)]
        frame = users.drop_columns(maps).to_pandas()
        side = bundle.encoder.side("user")
        categorical, dense = to_arrays(frame, side)
        user_group = bundle.places("user_cohort", frame["user_cohort"].to_numpy())
        top = _top_of_groups(scorer, user_group, (categorical, dense), users.select(maps), top_k)
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
            number = task_numbers(bundle)[task]
            columns[f"p_{task}"] = pa.array(top.probabilities[:, :, number].reshape(-1))
        return pa.table({name: columns[name] for name in schema.names}, schema=schema)

    return lists


def _top_of_groups(
    scorer: PairScorer,
    user_group: NDArray[np.int64],
    users: tuple[NDArray[np.int64], NDArray[np.float32]],
    maps: pa.Table,
    top_k: int,
) -> TopK:
    """Top lists of users of several groups, in the order of the users."""
    parts = []
    for group in np.unique(user_group):
        rows = np.flatnonzero(user_group == group)
        vectors = [
            vectors_of(of_users.take(rows).combine_chunks(), len(cross.inputs))
            for of_users, cross in zip(maps.columns, scorer.crosses, strict=True)
        ]
        parts.append((rows, scorer.top_k(users[0][rows], users[1][rows], group, top_k, vectors)))
    place = np.argsort(np.concatenate([rows for rows, _ in parts]), kind="stable")
    tops = [top for _, top in parts]
    return TopK(
        item=np.concatenate([top.item for top in tops])[place],
        probabilities=np.concatenate([top.probabilities for top in tops])[place],
        score=np.concatenate([top.score for top in tops])[place],
    )


@lru_cache(maxsize=2)
def _scorer_in_worker(path: str, items: Pool, weights: tuple[tuple[str, float], ...]) -> PairScorer:
    return PairScorer(bundle_in_worker(path), items, ranking=dict(weights))


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
