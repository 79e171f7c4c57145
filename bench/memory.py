"""Rows in memory, for data sets that are small enough: what training reads in place of block files."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.training.reader import Rows


@dataclass(frozen=True)
class MemoryRows:
    """A split in memory; one rank reads all of it."""

    rows: Rows

    def batches(self, batch_rows: int) -> Iterator[Rows]:
        """Yield the rows in stored order."""
        for start in range(0, len(self.rows), batch_rows):
            yield self.rows.take(slice(start, start + batch_rows))

    def shuffled_batches(self, batch_rows: int, window: int, seed: int, epoch: int) -> Iterator[Rows]:
        """Yield the rows in random order, the same for the same seed and epoch; `window` is not used."""
        order = np.random.default_rng([seed, epoch]).permutation(len(self.rows))
        for start in range(0, len(order), batch_rows):
            yield self.rows.take(order[start : start + batch_rows])
