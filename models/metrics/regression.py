"""Errors of one cell of a regression task from a state that adds up over any partitions.

Column 0 of every (1 + R) is the sample itself, columns 1..R are its replicates over users
(models/metrics/bootstrap.py). Units are those of the label, squared for the squared error.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from core.errors import LamplighterError
from models.metrics.state_bytes import pack, unpack

RegressionMetric = Literal["mse", "mae"]
REGRESSION_METRICS: tuple[RegressionMetric, ...] = get_args(RegressionMetric)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RegressionState:
    """Sums over the rows of one cell.

    Attributes:
        rows: of weight above 0.
        sums: of weights, weighted squared errors and weighted absolute errors, (3, 1 + R).
    """

    rows: int
    sums: Floats

    @staticmethod
    def of(
        predictions: NDArray[Any],
        labels: NDArray[Any],
        weight: NDArray[Any],
        user_weights: NDArray[np.uint8],
    ) -> "RegressionState":
        """Return the state of rows: predictions, labels, weights, all (n,), and `user_weights`, (n, R).

        Rows of weight 0 (padding) do not count.

        Raises:
            LamplighterError: a prediction or a label is not finite.
        """
        keep = np.flatnonzero(np.asarray(weight) > 0)
        p, y, v = (np.asarray(values, dtype=np.float64)[keep] for values in (predictions, labels, weight))
        error = p - y
        if not np.isfinite(error).all():
            raise LamplighterError(
                f"{int((~np.isfinite(error)).sum())} of {len(error)} predictions or labels are not finite; "
                "look at the task's `label`, or train the model again"
            )
        columns = np.ones((len(keep), 1 + user_weights.shape[1]))
        columns[:, 1:] = user_weights[keep]
        return RegressionState(len(keep), np.stack([v, v * error**2, v * np.abs(error)]) @ columns)

    def merge(self, *others: "RegressionState") -> "RegressionState":
        """Add up states of disjoint rows; any order gives the same, up to rounding."""
        states = (self, *others)
        return RegressionState(
            sum(state.rows for state in states), np.sum([state.sums for state in states], axis=0)
        )

    def counts(self) -> dict[str, int]:
        """Counts that the values are computed from."""
        return {"rows": self.rows}

    def value(self, metric: RegressionMetric, min_rows: int = 30) -> float | None:
        """Return a metric of the sample; None with fewer rows than asked for."""
        return float(self._all_values(metric)[0]) if self.rows >= max(min_rows, 1) else None

    def replicate_values(self, metric: RegressionMetric) -> Floats:
        """Return a metric of each replicate, (R,); NaN in one that has drawn no row."""
        return self._all_values(metric)[1:]

    def _all_values(self, metric: RegressionMetric) -> Floats:
        values = np.full(self.sums.shape[1], np.nan)
        errors = self.sums[1 + REGRESSION_METRICS.index(metric)]
        np.divide(errors, self.sums[0], out=values, where=self.sums[0] > 0)
        return values

    def to_bytes(self) -> bytes:
        """Serialise; nothing is rounded."""
        return pack(b"LRS1", [self.rows], self.sums)

    @staticmethod
    def from_bytes(data: bytes) -> "RegressionState":
        """Read what `to_bytes` wrote.

        Raises:
            LamplighterError: the bytes are no state of a regression, or a truncated one.
        """
        (rows,), sums = unpack(b"LRS1", 1, data)
        return RegressionState(rows, sums)
