"""Sizes and rows of bench.speed and bench.equal_steps, the same for us and the peers.

Rows are drawn anew for each step, from a truth that a model can learn: each id of a column adds a number of
its own to each task's logit, and so do products of neighbouring dense columns. numpy alone, since the
peers run in an environment without our packages.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROWS, COLUMNS, IDS, DIM = 4096, 20, 10_000, 16
EXPERTS, WIDTH, TOWER, TASKS = 3, 256, (128, 64), 3
HELD_OUT_STEP, HELD_OUT_ROWS = 1_000_000, 65_536
"""The rows that no training sees."""


@dataclass(frozen=True)
class Rows:
    """A batch: ids (B, C) int64, dense values (B, C) float32, labels (B, K) float32."""

    ids: NDArray[np.int64]
    dense: NDArray[np.float32]
    labels: NDArray[np.float32]


class Stream:
    """Batches of one seed; the truth is the same for all of its batches."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        random = np.random.default_rng(seed)
        self.of_ids = random.normal(scale=0.3, size=(COLUMNS, IDS, TASKS)).astype(np.float32)
        self.of_products = random.normal(scale=0.3, size=(COLUMNS, TASKS)).astype(np.float32)

    def batch(self, step: int, rows: int = ROWS) -> Rows:
        """Return the rows of one step; steps count from 0."""
        random = np.random.default_rng([self.seed, step + 1])
        # Some ids are frequent, most are rare: squares of uniform numbers.
        ids = (IDS * random.random((rows, COLUMNS)) ** 2).astype(np.int64)
        dense = random.normal(size=(rows, COLUMNS)).astype(np.float32)
        logits = self.of_ids[np.arange(COLUMNS), ids].sum(1)
        logits += (dense * np.roll(dense, 1, axis=1)) @ self.of_products
        labels = (random.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(np.float32)
        return Rows(ids, dense, labels)
