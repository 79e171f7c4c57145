"""Differences of two models over seeds that both were trained with."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Difference:
    """A mean difference and its 95 % interval; with a single seed the interval is the whole line."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return it as in a table: `+.00040 [-.00010, +.00090]`."""
        if math.isinf(self.low):
            return _signed(self.mean)
        return f"{_signed(self.mean)} [{_signed(self.low)}, {_signed(self.high)}]"

    def is_above(self, other: "Difference") -> bool:
        """Return whether all of this interval lies above all of the other."""
        return self.low > other.high


def paired_difference(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Difference:
    """Return ours minus theirs, seed by seed: mean, and Student's t interval over the common seeds.

    Args:
        ours: seed -> figure.
        theirs: seed -> figure.

    Raises:
        ValueError: they have no seed in common.
    """
    seeds = sorted(ours.keys() & theirs.keys())
    if not seeds:
        raise ValueError(f"no seed in common: {sorted(ours)} and {sorted(theirs)}; train both with one seed")
    differences = np.array([ours[seed] - theirs[seed] for seed in seeds])
    mean = float(differences.mean())
    if len(seeds) == 1:
        return Difference(mean, -math.inf, math.inf)
    error = float(differences.std(ddof=1)) / math.sqrt(len(seeds))
    half = float(stats.t.ppf(0.975, len(seeds) - 1)) * error
    return Difference(mean, mean - half, mean + half)


def _signed(value: float) -> str:
    return f"{value:+.5f}".replace("0.", ".", 1)
