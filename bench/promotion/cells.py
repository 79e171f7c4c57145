"""Cells of models on the same rows, as `evaluate` measures them: logits in, cells of a decision out.

Letters: n rows, K tasks, R bootstrap replicates.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.metrics.bootstrap import user_weights
from models.training.reader import Rows
from quality.gains import Measured
from quality.promotion import Cell
from quality.served import Baseline

MeasuredCells = dict[tuple[str, str], Measured]
"""(Task, user cohort) -> AUC of one model."""


@dataclass(frozen=True)
class Sample:
    """Rows that models are measured on.

    Attributes:
        tasks: names of the binary tasks, in the order of the labels.
        cohorts: names of the user cohorts.
        labels: 0 or 1, (n, K).
        user_group: index of the row's user cohort, (n,).
        users: ids, (n,).
        replicates: R.
    """

    tasks: tuple[str, ...]
    cohorts: tuple[str, ...]
    labels: NDArray[Any]
    user_group: NDArray[Any]
    users: NDArray[np.int64]
    replicates: int

    def measure(self, logits: NDArray[Any]) -> MeasuredCells:
        """Return the AUC of logits (n, K) in each cell; replicates are those of `CellState`."""
        found: MeasuredCells = {}
        for group, cohort in enumerate(self.cohorts):
            own = np.flatnonzero(self.user_group == group)
            weights = user_weights(self.users[own], self.replicates)
            for k, task in enumerate(self.tasks):
                auc = rank_auc(logits[own, k], self.labels[own, k] > 0.5, weights)
                found[task, cohort] = Measured(float(auc[0]), auc[1:])
        return found

    def cells(
        self, candidate: MeasuredCells, champion: MeasuredCells, baselines: Mapping[Baseline, MeasuredCells]
    ) -> list[Cell]:
        """Return the cells of a decision, task by task."""
        return [
            Cell(
                task,
                f"user:{cohort}",
                "auc",
                *self._users(k, group),
                candidate[task, cohort],
                champion[task, cohort],
                {name: measured[task, cohort] for name, measured in baselines.items()},
            )
            for k, task in enumerate(self.tasks)
            for group, cohort in enumerate(self.cohorts)
        ]

    def _users(self, task: int, group: int) -> tuple[int, tuple[int, int]]:
        """Return the users of a cell: all, and those with a positive and with a negative."""
        own = self.user_group == group
        is_positive = self.labels[:, task] > 0.5
        all_, positive, negative = (
            len(np.unique(self.users[rows])) for rows in (own, own & is_positive, own & ~is_positive)
        )
        return all_, (positive, negative)


def rank_auc(
    logits: NDArray[Any], is_positive: NDArray[np.bool_], weights: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """Return the AUC of the sample and of its replicates, (1 + R,); ties count half.

    That is what `CellState` computes from histograms, several times faster, for rows that fit in memory.

    Args:
        logits: (n,).
        is_positive: (n,).
        weights: of the rows in each replicate, (n, R).
    """
    order = np.argsort(logits, kind="stable")
    drawn = np.ones((len(order), 1 + weights.shape[1]), dtype=np.float32)
    drawn[:, 1:] = weights[order]
    ascending, positive = logits[order], is_positive[order]
    negatives = np.zeros((len(order) + 1, drawn.shape[1]), dtype=np.float32)
    np.cumsum(drawn * ~positive[:, None], axis=0, out=negatives[1:])  # small integers, exact in float32
    positives, scores = drawn[positive], ascending[positive]
    below = negatives[np.searchsorted(ascending, scores, "left")]
    up_to = negatives[np.searchsorted(ascending, scores, "right")]
    won = (positives * (below + up_to)).sum(axis=0, dtype=np.float64) / 2
    return np.asarray(won / (positives.sum(axis=0, dtype=np.float64) * negatives[-1]))


def baseline_logits(train: Rows, test: Rows, keys: tuple[NDArray[Any], NDArray[Any]]) -> NDArray[np.float64]:
    """Return log odds of the smoothed rate of a key in the training rows, of the test rows, (n, K).

    Args:
        train: rows that rates are taken from.
        test: rows that are scored.
        keys: of the rows of both, small integers.
    """
    size = 1 + max(int(keys[0].max()), int(keys[1].max()))
    shown = np.bincount(keys[0], minlength=size)
    rates = []
    for k in range(train.labels.shape[1]):
        mean = float(train.labels[:, k].mean())
        done = np.bincount(keys[0], weights=train.labels[:, k], minlength=size)
        rates.append(((done + 20 * mean) / (shown + 20))[keys[1]])
    rate = np.stack(rates, axis=1)
    return np.asarray(np.log(rate) - np.log1p(-rate))
