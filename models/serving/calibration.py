"""Calibration of logits on the validation days, by task and cohort.

Of task k in cohort c: p = sigmoid(s_kc (a_k z + b_k) + d_kc). a_k, s_kc > 0: the order inside a cell stays.
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
SLOPE_SHRINKAGE = 500  # the same for its own slope: slopes differ less than offsets, and cost more rows
MIN_SLOPE = 1e-3  # a_k of a model that ranks no better than chance
_PRIOR = 1e-3  # pull towards (a, b) = (1, 0), as of a thousandth of a row: keeps separable data finite
_STEPS = 100


class Calibration(BaseModel):
    """Fitted numbers of every task and cell, as a bundle holds them.

    Attributes:
        tasks, groups: names, in the order of the numbers.
        slopes, intercepts: a and b, (K,).
        offsets: d, (K, G).
        cohort_slopes: s, (K, G); None: all 1, as in bundles from before there were any.
        notes: what was not calibrated, and why; for the report.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tasks: tuple[str, ...]
    groups: tuple[str, ...]
    slopes: tuple[float, ...]
    intercepts: tuple[float, ...]
    offsets: tuple[tuple[float, ...], ...]
    cohort_slopes: tuple[tuple[float, ...], ...] | None = None
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        tables = [self.offsets] if self.cohort_slopes is None else [self.offsets, self.cohort_slopes]
        sizes = [len(self.slopes), len(self.intercepts), *(len(row) for of in tables for row in of)]
        expected = [len(self.tasks)] * 2 + [len(self.groups)] * len(self.tasks) * len(tables)
        if sizes != expected:
            raise ValueError(f"calibration has sizes {sizes}, {expected} are expected; train again")
        slopes = [*self.slopes, *(slope for row in self.cohort_slopes or () for slope in row)]
        if not all(slope > 0 for slope in slopes):
            raise ValueError(f"slopes {slopes} must be positive, or the order would turn around")
        return self

    def logits(self, logits: NDArray[Any], group: NDArray[Any]) -> Floats:
        """Map raw logits (n, K) of rows of groups (n,) to calibrated ones, (n, K) float64."""
        z = np.asarray(logits, dtype=np.float64)
        c = np.asarray(group, dtype=np.int64)
        calibrated: Floats = z * np.array(self.slopes) + np.array(self.intercepts)
        if self.cohort_slopes is not None:
            calibrated *= np.array(self.cohort_slopes).T[c]
        calibrated += np.array(self.offsets).T[c]
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
    slope_shrinkage: float = SLOPE_SHRINKAGE,
) -> Calibration:
    """Fit by maximum likelihood: a and b of a task on all its rows, then each cohort's slope and offset.

    Those of a cohort are shrunk towards no change, by n, the smaller of its positives and negatives:
    n / (n + 50) of the likeliest offset alone, and n / (n + 500) of what the likeliest line, a slope and an
    offset, adds to it (docs/benchmarks/2026-11-30_calibration.md). A regression task, or one with a single
    class, is not calibrated.

    Args:
        logits: (n, K).
        labels: (n, K).
        mask: (n, K); a row outside of it does not count for the task.
        weight: (n,), 0 for padding.
        group: (n,), index into `groups`.
        tasks: K tasks.
        groups: G names.
        slope_shrinkage: in place of 500; infinity: no slopes of cohorts (bench/calibration.py).
    """
    slopes, intercepts, cells, notes = [], [], [], []
    for k, task in enumerate(tasks):
        use = np.asarray(mask)[:, k].astype(bool) & (np.asarray(weight) > 0)
        z = np.asarray(logits)[use, k].astype(np.float64)
        y = np.asarray(labels)[use, k].astype(np.float64)
        v = np.asarray(weight)[use].astype(np.float64)
        g = np.asarray(group)[use]
        a, b, of_cohorts = 1.0, 0.0, [(1.0, 0.0)] * len(groups)
        if task.kind == "regression":
            notes.append(f"{task.name}: a regression, not calibrated")
        elif not 0 < y.sum() < len(y):
            notes.append(f"{task.name}: {int(y.sum())} positives of {len(y)} rows, not calibrated")
        else:
            a, b = _fit_line(z, y, v)
            if a == MIN_SLOPE:
                notes.append(f"{task.name}: logits do not rise with labels, slope set to {MIN_SLOPE}")
            z = a * z + b
            own = [g == c for c in range(len(groups))]
            of_cohorts = [_fit_cell(z[is_own], y[is_own], v[is_own], slope_shrinkage) for is_own in own]
        slopes.append(a)
        intercepts.append(b)
        cells.append(of_cohorts)
    return Calibration(
        tasks=tuple(task.name for task in tasks),
        groups=tuple(groups),
        slopes=tuple(slopes),
        intercepts=tuple(intercepts),
        offsets=tuple(tuple(d for _, d in of_cohorts) for of_cohorts in cells),
        cohort_slopes=tuple(tuple(s for s, _ in of_cohorts) for of_cohorts in cells),
        notes=tuple(notes),
    )


def _fit_line(z: Floats, y: Floats, v: Floats) -> tuple[float, float]:
    """Return a and b that maximise the likelihood of sigmoid(a z + b) over a >= MIN_SLOPE and b."""
    a, b = _newton(np.stack([z, np.ones_like(z)], axis=1), np.zeros_like(z), y, v, np.array([1.0, 0.0]))
    if a > MIN_SLOPE:
        return float(a), float(b)
    (b,) = _newton(np.ones((len(z), 1)), MIN_SLOPE * z, y, v, np.array([0.0]))
    return MIN_SLOPE, float(b)


def _fit_cell(z: Floats, y: Floats, v: Floats, slope_shrinkage: float) -> tuple[float, float]:
    """Return s and d of sigmoid(s z + d), shrunk; 1 and 0 where there is one class only."""
    n = min(y.sum(), len(y) - y.sum())
    if n == 0:
        return 1.0, 0.0
    (offset,) = _newton(np.ones((len(z), 1)), z, y, v, np.array([0.0]))
    s, d = _fit_line(z, y, v)
    of_offset, of_line = n / (n + SHRINKAGE), n / (n + slope_shrinkage)
    return float(1 + of_line * (s - 1)), float(of_offset * offset + of_line * (d - offset))


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
