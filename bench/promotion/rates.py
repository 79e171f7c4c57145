"""Rates of events that are counted, with intervals that hold for few events, too."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True)
class Rate:
    """Events of trials."""

    events: int
    trials: int

    @staticmethod
    def of(happened: Sequence[bool]) -> "Rate":
        """Count what happened."""
        return Rate(sum(happened), len(happened))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of Clopper and Pearson (Biometrika 1934): never too short, also at 0 events."""
        k, n = self.events, self.trials
        low = 0.0 if k == 0 else float(stats.beta.ppf(0.025, k, n - k + 1))
        high = 1.0 if k == n else float(stats.beta.ppf(0.975, k + 1, n - k))
        return low, high

    def __str__(self) -> str:
        """Return it as in a table: `2.5 % [1.6, 3.7] (25 of 1,000)`."""
        if not self.trials:
            return "none"
        share, low, high = (100 * value for value in (self.events / self.trials, *self.interval))
        return f"{share:.1f} % [{low:.1f}, {high:.1f}] ({self.events:,} of {self.trials:,})"


def seed_std(gains: Sequence[float], user_stds: Sequence[float]) -> tuple[float, float]:
    """Return the standard deviation over seeds of a gain whose expectation is 0, and its standard error.

    The variance of gains over pairs of trainings holds the variance over users, too, which is taken off.

    Args:
        gains: of disjoint pairs of trainings that differ in the seed alone.
        user_stds: of each gain over users.
    """
    pairs = len(gains)
    total = sum(gain**2 for gain in gains) / pairs
    of_users = sum(std**2 for std in user_stds) / pairs
    std = math.sqrt(max(total - of_users, 0.0))
    error = total * math.sqrt(2 / pairs)  # of the variance, if gains are normal
    return std, error / (2 * std) if std else math.sqrt(error)
