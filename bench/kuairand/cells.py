"""What a final keeps of its test rows: AUC and log loss by cell, of the sample and of draws of users.

A draw gives each user a Poisson(1) weight that depends on the user and the draw alone, so all variants and
seeds have the same draws (models/metrics/bootstrap.py).

Letters: n rows, K tasks, R draws; index 0 of every 1 + R is the sample itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from core.schema import Task
from jobs.workers.synthetic.hashing import Floats
from models.metrics.bootstrap import user_weights
from models.training.reader import Rows

Measure = Literal["auc", "log_loss"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
DRAWS, MIN_CLASS_COUNT = 200, 30
UNIT = 1e-5
"""Of what is kept of a draw: its difference from the sample, in whole numbers, so that lines stay short."""
Cells = dict[str, dict[str, Any]]
"""`task|cohort` -> positives, negatives and, unless too few of either, by measure `value` and `draws`."""


def groups_of(rows: Rows, cohorts: Mapping[str, Sequence[str]]) -> dict[str, NDArray[np.bool_]]:
    """Return which rows are of whom: all, each user cohort, each item cohort (`new items`)."""
    found = {"all": np.ones(len(rows), dtype=np.bool_)}
    found |= {name: rows.user_group == number for number, name in enumerate(cohorts["user_cohort"])}
    items = {f"{name} items": rows.item_group == number for number, name in enumerate(cohorts["item_cohort"])}
    return found | items


def to_cells(
    logits: NDArray[Any],
    rows: Rows,
    users: NDArray[np.int64],
    tasks: Sequence[Task],
    groups: Mapping[str, NDArray[np.bool_]],
) -> Cells:
    """Measure logits (n, K) in every task and group of rows, users (n,) being whose they are."""
    columns = np.column_stack([np.ones(len(rows)), user_weights(users, DRAWS)]) * rows.weight[:, None]
    found: Cells = {}
    for k, task in enumerate(tasks):
        for name, is_member in groups.items():
            own = is_member & rows.mask[:, k] & (rows.weight > 0)
            found[f"{task.name}|{name}"] = _cell(logits[own, k], rows.labels[own, k] > 0.5, columns[own])
    return found


def values_of(cells: Cells, cell: str, measure: Measure) -> Floats | None:
    """Return a measure of a cell, (1 + R,); None where it has too few rows of a class."""
    kept = cells[cell].get(measure)
    if kept is None:
        return None
    values: Floats = kept["value"] + UNIT * np.array([0, *kept["draws"]])
    return values


def rank_auc(z: Floats, is_positive: NDArray[np.bool_], weights: Floats) -> Floats:
    """Return P(logit of a positive > of a negative) + P(equal) / 2 for each column of weights (n, W).

    NaN where a column has a single class.
    """
    order = np.flatnonzero(~is_positive)[np.argsort(z[~is_positive])]
    negatives = np.zeros((len(order) + 1, weights.shape[1]))
    np.cumsum(weights[order], axis=0, out=negatives[1:])
    below, not_above = (np.searchsorted(z[order], z[is_positive], side) for side in ("left", "right"))
    own = weights[is_positive]
    won = 0.5 * (
        np.einsum("nw,nw->w", own, negatives[below]) + np.einsum("nw,nw->w", own, negatives[not_above])
    )
    pairs = own.sum(0) * negatives[-1]
    return np.divide(won, pairs, out=np.full(len(won), np.nan), where=pairs > 0)


def log_loss(z: Floats, is_positive: NDArray[np.bool_], weights: Floats) -> Floats:
    """Return the mean log loss of logits for each column of weights (n, W)."""
    loss: Floats = np.logaddexp(0.0, np.where(is_positive, -z, z)) @ weights / weights.sum(0)
    return loss


def _cell(logits: NDArray[Any], is_positive: NDArray[np.bool_], weights: Floats) -> dict[str, Any]:
    counts = {"positives": int(is_positive.sum()), "negatives": int((~is_positive).sum())}
    if min(counts.values()) < MIN_CLASS_COUNT:
        return counts
    z = logits.astype(np.float64)
    auc = rank_auc(z, is_positive, weights)
    if np.isnan(auc).any():  # a draw without any user who has a positive
        return counts
    return {**counts, "auc": _packed(auc), "log_loss": _packed(log_loss(z, is_positive, weights))}


def _packed(values: Floats) -> dict[str, Any]:
    value = round(float(values[0]), 6)
    return {"value": value, "draws": np.rint((values[1:] - value) / UNIT).astype(int).tolist()}
