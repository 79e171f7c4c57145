"""Bundles inside Spark workers: examples -> calibrated logits -> cell states, users -> top lists.

What needs Spark and torch at once lives here. A worker loads a bundle once and keeps it.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from numpy.typing import NDArray

from conf.encoder import Encoder
from models.bootstrap import user_weights
from models.bundle import Bundle, read_bundle
from models.metrics import METRICS, CellState
from models.model import MultiTaskModel
from models.scorer import PairScorer, Pool, TopK

STATE_SCHEMA = "model_version string, task string, cohort string, state binary"
CELL_SCHEMA = (
    "model_version string, task string, cohort string, metric string, value double, positives long, "
    "negatives long, replicates array<double>, curve array<array<double>>"
)
WITH_INTERVALS = ("auc",)


@lru_cache(maxsize=4)
def bundle_in_worker(path: str) -> Bundle:
    """A bundle, read once a worker; torch gets the one thread that Spark gave the task."""
    torch.set_num_threads(1)
    return read_bundle(Path(path))


@lru_cache(maxsize=4)
def _model_in_worker(path: str) -> MultiTaskModel:
    return bundle_in_worker(path).model()


def cat_columns(encoder: Encoder) -> list[str]:
    """Names of encoded categorical columns, in order."""
    return list(encoder.id_columns)


def dense_columns(encoder: Encoder) -> list[str]:
    """Names of encoded dense columns, in order."""
    return [f"dense_{d.column}" for d in encoder.dense]


def task_numbers(bundle: Bundle) -> dict[str, int]:
    """Task -> its place among the model's outputs."""
    return {task.name: number for number, task in enumerate(bundle.manifest.tasks)}


def to_arrays(rows: pd.DataFrame, encoder: Encoder) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Encoded columns as (n, C) int64 and (n, F) float32, NaN for null."""
    return (
        rows[cat_columns(encoder)].to_numpy(dtype=np.int64),
        rows[dense_columns(encoder)].to_numpy(dtype=np.float32),
    )


def calibrated_logits(path: str, rows: pd.DataFrame) -> NDArray[np.float64]:
    """Calibrated logits of examples, (n, K): encoded columns, `user_cohort` and `item_cohort`."""
    bundle, model = bundle_in_worker(path), _model_in_worker(path)
    categorical, dense = to_arrays(rows, bundle.encoder)
    user_group, item_group = (bundle.places(c, rows[c].to_numpy()) for c in ("user_cohort", "item_cohort"))
    group = model.group_of(user_group, item_group)
    with torch.inference_mode():
        logits = model(torch.from_numpy(categorical), torch.from_numpy(dense), torch.from_numpy(group))
    return bundle.calibration.logits(logits.numpy(), user_group)


def cohorts_of(rows: pd.DataFrame) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Every cohort that a row counts in: all, user's, item's, both; roll-ups are in the `_axis` columns."""
    yield "all", np.ones(len(rows), dtype=bool)
    members: dict[str, dict[str, NDArray[np.bool_]]] = {}
    for entity in ("user", "item"):
        axis_of_row, axes = pd.factorize(rows[f"{entity}_cohort_axis"].map(tuple))
        names = sorted({name for axis in axes for name in axis})
        members[entity] = {name: np.array([name in axis for axis in axes])[axis_of_row] for name in names}
        for name, is_member in members[entity].items():
            yield f"{entity}:{name}", is_member
    for user_name, is_user in members["user"].items():
        for item_name, is_item in members["item"].items():
            yield f"user:{user_name}|item:{item_name}", is_user & is_item


def to_states(
    path: str, model_version: str, tasks: tuple[str, ...], replicates: int
) -> Callable[[Iterable[Any]], Iterator[pd.DataFrame]]:
    """Function of mapInPandas: encoded examples -> the state of every cell in the partition."""

    def states(batches: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        bundle = bundle_in_worker(path)
        order = [task_numbers(bundle)[task] for task in tasks]
        for rows in batches:
            logits = calibrated_logits(path, rows)
            weights = user_weights(rows["user_id"].to_numpy(), replicates)
            found = []
            for cohort, is_member in cohorts_of(rows):
                for number, task in zip(order, tasks, strict=True):
                    kept = is_member & rows[f"mask_{task}"].to_numpy(dtype=bool)
                    state = CellState.of(
                        logits[kept, number],
                        rows.loc[kept, f"label_{task}"].to_numpy(),
                        rows.loc[kept, "weight"].to_numpy(),
                        weights[kept],
                    )
                    found.append((model_version, task, cohort, state.to_bytes()))
            yield pd.DataFrame(found, columns=["model_version", "task", "cohort", "state"])

    return states


def merge_states(rows: pd.DataFrame) -> CellState:
    """One cell's states of all partitions as one, in an order that does not depend on the shuffle."""
    first, *others = (CellState.from_bytes(data) for data in sorted(rows["state"]))
    return first.merge(*others)


def to_cells(least: int) -> Callable[[tuple[str, str, str], pd.DataFrame], pd.DataFrame]:
    """Function of applyInPandas: the states of one cell -> a row a metric, null below `least` rows a class.

    It stands here and not in the job: a worker imports the module of what it runs, and a job's takes
    seconds.
    """

    def cells(key: tuple[str, str, str], of_cell: pd.DataFrame) -> pd.DataFrame:
        state = merge_states(of_cell)
        common: dict[str, Any] = dict(zip(("model_version", "task", "cohort"), key, strict=True))
        common |= {"positives": state.positives, "negatives": state.negatives}
        rows = []
        for metric in METRICS:
            value = state.value(metric, least)
            has_interval = metric in WITH_INTERVALS and value is not None
            replicates = state.replicate_values(metric) if has_interval else np.array([])
            curve = state.calibration_curve() if metric == "ece" and value is not None else []
            rows.append(common | {"metric": metric, "value": value, "replicates": replicates, "curve": curve})
        return pd.DataFrame(rows)

    return cells


def to_lists(
    path: str, items: Pool, weights: dict[str, float], top_k: int, schema: pa.Schema
) -> Callable[[pa.Table], pa.Table]:
    """Function of applyInArrow: the users of one bucket -> their top lists.

    The table holds user_id, data_date, user_cohort, bucket and the user side's encoded columns.
    """

    def lists(users: pa.Table) -> pa.Table:
        bundle = bundle_in_worker(path)
        scorer = _scorer_in_worker(path, items, tuple(sorted(weights.items())))
        users = users.sort_by("user_id")  # so that a rerun sees the same rows in the same order
        frame = users.to_pandas()
        side = bundle.encoder.side("user")
        categorical, dense = to_arrays(frame, side)
        user_group = bundle.places("user_cohort", frame["user_cohort"].to_numpy())
        top = _top_of_groups(scorer, user_group, (categorical, dense), top_k)
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
    top_k: int,
) -> TopK:
    """Top lists of users of several groups, in the order of the users."""
    parts = []
    for group in np.unique(user_group):
        rows = np.flatnonzero(user_group == group)
        parts.append((rows, scorer.top_k(users[0][rows], users[1][rows], group, top_k)))
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
