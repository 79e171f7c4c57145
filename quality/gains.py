"""By how much one model is better than another, in one cell and as a mean over cells, with intervals.

A cell is task x user cohort. Replicate r draws the same users in all cells and models, so gains are
paired within a cell, and the mean over cells keeps how the cells of the same users vary together.

Letters: C cells, R bootstrap replicates over users.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.schema import GainMetric
from quality.metrics import ERRORS

Floats = NDArray[np.float64]
Metric = GainMetric

Z = 1.959964  # of a two-sided 95 % interval
Z_POWER = 0.841621  # of a power of 80 %
MOST_DIGITS = 4
_LEAST_VARIANCE = 1e-12  # of models that predict the same, so that weights stay finite


@dataclass(frozen=True, eq=False)
class Measured:
    """A metric of one model on the rows of one cell: its value, None if not known, and replicates, (R,)."""

    value: float | None
    replicates: Floats


@dataclass(frozen=True)
class Gain:
    """What one model is better by: above 0 it is better.

    Attributes:
        value: on the sample. Of AUC and GAUC the difference; of errors their difference as a share of
            their mean.
        low: lower end of the 95 % interval.
        high: upper end.
        std: half of the interval's length / 1.96.
        digits: decimals that one standard error of the replicates (Monte Carlo) leaves as they are.
    """

    value: float
    low: float
    high: float
    std: float
    digits: int

    def __str__(self) -> str:
        value, low, high = (f"{number:+.{self.digits}f}" for number in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]"


@dataclass(frozen=True, eq=False)
class Sampled:
    """A gain before its interval: on the sample, and of each replicate, (R,)."""

    value: float
    replicates: Floats

    @property
    def variance(self) -> float:
        """Variance over the draws of users."""
        return float(np.var(self.replicates, ddof=1))

    def gain(self, seed_std: float = 0.0) -> Gain:
        """Return the gain with its 95 % interval, from the variances over users and over seeds.

        Args:
            seed_std: standard deviation of the gain over trainings; 0 for these very weights.
        """
        std = math.sqrt(self.variance + seed_std**2)
        error = normal_interval_error(math.sqrt(self.variance), len(self.replicates))
        return Gain(self.value, self.value - Z * std, self.value + Z * std, std, exact_digits(error))


@dataclass(frozen=True)
class MeanGain:
    """The precision-weighted mean gain over cells, and the share of each cell in it, in [0, 1]."""

    gain: Gain
    weights: tuple[float, ...]


def cell_gain(metric: Metric, ours: Measured, theirs: Measured) -> Sampled | None:
    """Return by how much ours is better in one cell; None where a value or a replicate is not known.

    Swapping the models changes the sign and nothing else, so no weight that is made of the variance
    depends on who is better. A replicate without a value is one without users of a class: too few users.
    """
    if ours.value is None or theirs.value is None or len(ours.replicates) < 2:
        return None
    value = _gain(metric, np.array([ours.value]), np.array([theirs.value]))
    replicates = _gain(metric, ours.replicates, theirs.replicates)
    if not (np.isfinite(value).all() and np.isfinite(replicates).all()):
        return None
    return Sampled(float(value[0]), replicates)


def mean_gain(cells: Sequence[Sampled], seed_stds: Sequence[float]) -> MeanGain:
    """Return the mean of the cells' gains, each weighted by 1 / its variance over users and seeds.

    A task whose gains are noise gets a weight that keeps its noise small, whatever its gains are. The
    weights are fixed before replicates are averaged, so the interval knows how cells vary together.
    Seeds are taken to move all cells alike, which makes the interval the widest.

    Args:
        cells: C gains over the same replicates.
        seed_stds: standard deviation over seeds of each cell's metric, (C,).
    """
    stds = np.asarray(seed_stds, dtype=np.float64)
    variances = np.array([cell.variance for cell in cells]) + stds**2
    precisions = 1 / np.maximum(variances, _LEAST_VARIANCE)
    weights = precisions / precisions.sum()
    mean = Sampled(
        value=float(weights @ [cell.value for cell in cells]),
        replicates=weights @ np.stack([cell.replicates for cell in cells]),
    )
    return MeanGain(mean.gain(float(weights @ stds)), tuple(weights.tolist()))


def has_power(gain: Gain, margin: float) -> bool:
    """Return whether a gain of 0 would exclude a loss of the margin in four of five samples.

    It depends on the length of the interval alone, not on its position.
    """
    return (Z + Z_POWER) * gain.std <= margin


def exact_digits(error: float) -> int:
    """Return how many decimals one standard error moves by less than half a unit of the last, at most 4.

    Args:
        error: standard error of the number that is shown.
    """
    if error <= 0:
        return MOST_DIGITS
    return max(0, min(MOST_DIGITS, math.floor(-math.log10(2 * error))))


def normal_interval_error(std: float, replicates: int) -> float:
    """Return the Monte-Carlo standard error of value +- 1.96 std, where std is that of R replicates."""
    return Z * std / math.sqrt(2 * replicates)


def percentile_interval_error(std: float, replicates: int) -> float:
    """Return the Monte-Carlo standard error of the 2.5 and 97.5 percentiles of R replicates.

    The error of a quantile p is sqrt(p (1 - p) / R) / density there, with the density of a normal
    distribution of this standard deviation.
    """
    density = math.exp(-(Z**2) / 2) / math.sqrt(2 * math.pi)
    return math.sqrt(0.025 * 0.975 / replicates) / density * std


def _gain(metric: Metric, ours: Floats, theirs: Floats) -> Floats:
    if metric not in ERRORS:
        return np.asarray(ours - theirs)
    mean = (ours + theirs) / 2
    gains = np.full(len(mean), np.nan)
    np.divide(theirs - ours, mean, out=gains, where=mean > 0)
    return gains
