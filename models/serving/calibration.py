"""Calibration of logits on the validation days, by task and cohort.

Of task k in cohort c: p = sigmoid(a_k z + b_k + d_kc). a_k > 0, so the order inside a cell stays.
Letters: n rows, K tasks, G groups (user cohorts).
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from core.schema import Task

Floats = NDArray[np.float64]

SHRINKAGE = 50  # n0: a cell with as many rows of its rarer class gets half of its own offset
MIN_SLOPE = 1e-3  # a_k of a model that ranks no better than chance
_PRIOR = 1e-3  # pull towards (a, b) = (1, 0), as of a thousandth of a row: keeps separable data finite
_STEPS = 100


class Calibration(BaseModel):
    """Fitted numbers of every task and cell, as a bundle holds them.

    Attributes:
        tasks, groups: names, in the order of the numbers.
        slopes, intercepts: a and b, (K,).
        offsets: d, (K, G).
        notes: what was not calibrated, and why; for the report.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tasks: tuple[str, ...]
    groups: tuple[str, ...]
    slopes: tuple[float, ...]
    intercepts: tuple[float, ...]
    offsets: tuple[tuple[float, ...], ...]
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        sizes = [len(self.slopes), len(self.intercepts), *(len(row) for row in self.offsets)]
        expected = [len(self.tasks)] * 2 + [len(self.groups)] * len(self.tasks)
        if sizes != expected:
            raise ValueError(f"calibration has sizes {sizes}, {expected} are expected; train again")
        if not all(slope > 0 for slope in self.slopes):
            raise ValueError(f"slopes {self.slopes} must be positive, or the order would turn around")
        return self

    def logits(self, logits: NDArray[Any], group: NDArray[Any]) -> Floats:
        """Map raw logits (n, K) of rows of groups (n,) to calibrated ones, (n, K) float64."""
        z = np.asarray(logits, dtype=np.float64)
        offsets: Floats = np.array(self.offsets).T[np.asarray(group, dtype=np.int64)]
        calibrated: Floats = z * np.array(self.slopes) + np.array(self.intercepts) + offsets
        return calibrated

    def apply(self, logits: NDArray[Any], group: NDArray[Any]) -> Floats:
        """Map raw logits (n, K) of rows of groups (n,) to probabilities, (n, K) float64."""
        return _sigmoid(self.logits(logits, group))


def fit_calibration(
    logits: NDArray[Any],
    labels: NDArray[Any],
    mask: NDArray[Any],
    weight: NDArray[Any],
    group: NDArray[Any],
    tasks: Sequence[Task],
    groups: Sequence[str],
) -> Calibration:
    """Fit by maximum likelihood: a and b of a task on all its rows, then each cohort's offset.

    The offset of a cohort is shrunk: n / (n + 50) of its maximum-likelihood value, n the smaller of its
    positives and negatives. A regression task, or one with a single class, is not calibrated.

    Args:
        logits: (n, K).
        labels: (n, K).
        mask: (n, K); a row outside of it does not count for the task.
        weight: (n,), 0 for padding.
        group: (n,), index into `groups`.
        tasks: K tasks.
        groups: G names.
    """
    slopes, intercepts, offsets, notes = [], [], [], []
    for k, task in enumerate(tasks):
        use = np.asarray(mask)[:, k].astype(bool) & (np.asarray(weight) > 0)
        z = np.asarray(logits)[use, k].astype(np.float64)
        y = np.asarray(labels)[use, k].astype(np.float64)
        v = np.asarray(weight)[use].astype(np.float64)
        g = np.asarray(group)[use]
        a, b, d = 1.0, 0.0, [0.0] * len(groups)
        if task.kind == "regression":
            notes.append(f"{task.name}: a regression, not calibrated")
        elif not 0 < y.sum() < len(y):
            notes.append(f"{task.name}: {int(y.sum())} positives of {len(y)} rows, not calibrated")
        else:
            a, b = _fit_line(z, y, v)
            if a == MIN_SLOPE:
                notes.append(f"{task.name}: logits do not rise with labels, slope set to {MIN_SLOPE}")
            d = [_fit_offset(a * z[g == c] + b, y[g == c], v[g == c]) for c in range(len(groups))]
        slopes.append(a)
        intercepts.append(b)
        offsets.append(tuple(d))
    return Calibration(
        tasks=tuple(task.name for task in tasks),
        groups=tuple(groups),
        slopes=tuple(slopes),
        intercepts=tuple(intercepts),
        offsets=tuple(offsets),
        notes=tuple(notes),
    )


def _fit_line(z: Floats, y: Floats, v: Floats) -> tuple[float, float]:
    """Return a and b that maximise the likelihood of sigmoid(a z + b) over a >= MIN_SLOPE and b."""
    a, b = _newton(np.stack([z, np.ones_like(z)], axis=1), np.zeros_like(z), y, v, np.array([1.0, 0.0]))
    if a > MIN_SLOPE:
        return float(a), float(b)
    (b,) = _newton(np.ones((len(z), 1)), MIN_SLOPE * z, y, v, np.array([0.0]))
    return MIN_SLOPE, float(b)


def _fit_offset(z: Floats, y: Floats, v: Floats) -> float:
    """Return the maximum-likelihood offset beside z, shrunk; 0 where there is one class only."""
    n = min(y.sum(), len(y) - y.sum())
    if n == 0:
        return 0.0
    (d,) = _newton(np.ones((len(z), 1)), z, y, v, np.array([0.0]))
    return float(n / (n + SHRINKAGE) * d)


def _newton(x: Floats, base: Floats, y: Floats, v: Floats, start: Floats) -> Floats:
    """Return theta that maximises the log likelihood of sigmoid(base + x @ theta), by Newton with halving."""

    def cost(theta: Floats) -> float:
        s = base + x @ theta
        return float(v @ (np.logaddexp(0.0, s) - y * s) + 0.5 * _PRIOR * ((theta - start) ** 2).sum())

    theta, best = start, cost(start)
    for _ in range(_STEPS):
        p = _sigmoid(base + x @ theta)
        gradient = x.T @ (v * (p - y)) + _PRIOR * (theta - start)
        hessian = (x * (v * p * (1 - p))[:, None]).T @ x + _PRIOR * np.eye(len(theta))
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while (new := cost(theta - size * step)) > best and size > 1e-10:
            size /= 2
        if best - new <= 1e-13 * abs(best):
            break
        theta, best = theta - size * step, new
    return theta


def _sigmoid(z: Floats) -> Floats:
    """Return the logistic function, without overflow."""
    e = np.exp(-np.abs(z))
    p: Floats = np.where(z >= 0, 1.0, e) / (1.0 + e)
    return p
