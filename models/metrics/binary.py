"""Metrics of one cell (a binary task in a cohort) from a state that adds up over any partitions.

Letters: n rows, R bootstrap replicates; column 0 of every (1 + R) is the sample itself, columns 1..R
are its replicates over users (models/metrics/bootstrap.py).

AUC comes from a weighted histogram of logits per class, equal scores and those of one bin counting half. A
cell with at most EXACT_SCORES different logits has a bin for each of them: its AUC is the rank AUC. Others
have 2**14 fixed bins, with which AUC is equal to the rank AUC to 1e-4 for scores that spread over more than a
few bins. So a state never grows with rows: at most 2 * 2**14 * (1 + R) numbers, in practice those of the
occupied bins.
"""

import struct
import zlib
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from core.errors import LamplighterError

Metric = Literal["auc", "log_loss", "normalised_entropy", "observed_over_predicted", "ece"]
METRICS: tuple[Metric, ...] = get_args(Metric)

Floats = NDArray[np.float64]

BINS = 2**14
LOGIT_LIMIT = 16.0  # logits beyond count in the outermost bins: probabilities within 1.2e-7 of 0 or 1
EXACT_SCORES = 1024
ECE_GROUPS = 15

_MAGIC = b"LCS2"
_HEADER = struct.Struct("<4sqqii?")  # magic, positives, negatives, occupied bins, 1 + R, whether exact


def to_bins(logits: NDArray[Any]) -> NDArray[np.int64]:
    """Return the histogram bin of each logit."""
    scaled = (np.asarray(logits, dtype=np.float64) + LOGIT_LIMIT) * (BINS / (2 * LOGIT_LIMIT))
    bins: NDArray[np.int64] = np.clip(np.floor(scaled), 0, BINS - 1).astype(np.int64)
    return bins


def to_exact_bins(logits: NDArray[Any]) -> NDArray[np.int64]:
    """Return a number per logit that grows with it: a bin for every value of float32."""
    bits = (np.asarray(logits, dtype=np.float32) + 0.0).view(np.int32).astype(np.int64)  # -0 as 0
    return np.where(bits >= 0, bits, -(2**31) - bits)


def from_exact_bins(bins: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the logits of `to_exact_bins`."""
    return np.where(bins >= 0, bins, -(2**31) - bins).astype(np.int32).view(np.float32)


def histogram_auc(positives: Floats, negatives: Floats) -> Floats:
    """Return P(score of a positive > of a negative) + P(equal) / 2 from histograms, along axis 0.

    Args:
        positives: weights per bin, ascending scores, (bins, ...).
        negatives: likewise.

    Returns:
        One value for each remaining index, NaN where a class is empty.
    """
    below = np.cumsum(negatives, axis=0) - negatives
    pairs = positives.sum(axis=0) * negatives.sum(axis=0)
    won = (positives * (below + 0.5 * negatives)).sum(axis=0)
    return _divide(won, pairs)


@dataclass(frozen=True)
class CellState:
    """Sums over the rows of one cell.

    Attributes:
        positives, negatives: rows, unweighted.
        bins: occupied histogram bins, ascending, (m,): of `to_exact_bins` if exact, else of `to_bins`.
        sums: weights of the negatives and of the positives in them, (2, m, 1 + R).
        predicted: weighted sums of probabilities in them, of the sample, (m,).
        losses, predictions: weighted sums of log loss and of probabilities, (1 + R,).
        is_exact: whether each different logit has a bin.
    """

    positives: int
    negatives: int
    bins: NDArray[np.int64]
    sums: Floats
    predicted: Floats
    losses: Floats
    predictions: Floats
    is_exact: bool = False

    @staticmethod
    def of(
        logits: NDArray[Any],
        labels: NDArray[Any],
        weight: NDArray[Any],
        user_weights: NDArray[np.uint8],
    ) -> "CellState":
        """Return the state of rows: logits of calibrated probabilities, labels 0 or 1, weights, all (n,).

        Rows of weight 0 (padding) do not count. `user_weights` is (n, R).

        Raises:
            LamplighterError: a logit is not finite.
        """
        z, y, v = (np.asarray(values, dtype=np.float64) for values in (logits, labels, weight))
        if not np.isfinite(z).all():
            raise LamplighterError(
                f"{int((~np.isfinite(z)).sum())} of {len(z)} logits are not finite; their model is broken: "
                "train it again"
            )
        bins, row_bin = np.unique(to_exact_bins(z[v > 0]), return_inverse=True)
        if not (is_exact := len(bins) <= EXACT_SCORES):
            bins, row_bin = np.unique(to_bins(z[v > 0]), return_inverse=True)
        # Sort rows by (class, bin) once, so that their replicate weights are copied once, into place.
        rows = np.flatnonzero(v > 0)
        place = (y[rows] > 0.5) * len(bins) + row_bin.reshape(-1)
        order = np.argsort(place, kind="stable")
        rows, place = rows[order], place[order]
        z, v, is_positive = z[rows], v[rows], y[rows] > 0.5

        columns = np.empty((len(rows), 1 + user_weights.shape[1]))
        columns[:, 0] = 1.0
        columns[:, 1:] = user_weights[rows]
        columns *= v[:, None]
        p = 1.0 / (1.0 + np.exp(-z))
        loss = np.logaddexp(0.0, np.where(is_positive, -z, z))
        predicted = np.zeros(len(bins))
        np.add.at(predicted, place % max(len(bins), 1), v * p)
        return CellState(
            positives=int(is_positive.sum()),
            negatives=int((~is_positive).sum()),
            bins=bins,
            sums=_histogram(place, columns, 2 * len(bins)).reshape(2, len(bins), columns.shape[1]),
            predicted=predicted,
            losses=loss @ columns,
            predictions=p @ columns,
            is_exact=is_exact,
        )

    def merge(self, *others: "CellState") -> "CellState":
        """Add up states of disjoint rows; any order gives the same, up to rounding of weights."""
        states: tuple[CellState, ...] = (self, *others)
        is_exact = all(state.is_exact for state in states)
        bins = np.unique(np.concatenate([state.bins for state in states])) if is_exact else self.bins
        if not is_exact or len(bins) > EXACT_SCORES:
            is_exact, states = False, tuple(state.in_fixed_bins() for state in states)
            bins = np.unique(np.concatenate([state.bins for state in states]))
        sums = np.zeros((2, len(bins), self.sums.shape[2]))
        predicted = np.zeros(len(bins))
        for state in states:
            at = np.searchsorted(bins, state.bins)
            sums[:, at] += state.sums
            predicted[at] += state.predicted
        return CellState(
            positives=sum(state.positives for state in states),
            negatives=sum(state.negatives for state in states),
            bins=bins,
            sums=sums,
            predicted=predicted,
            losses=np.sum([state.losses for state in states], axis=0),
            predictions=np.sum([state.predictions for state in states], axis=0),
            is_exact=is_exact,
        )

    def in_fixed_bins(self) -> "CellState":
        """Return the state with the bins of `to_bins`."""
        if not self.is_exact:
            return self
        bins, place = np.unique(to_bins(from_exact_bins(self.bins)), return_inverse=True)
        return replace(
            self,
            bins=bins,
            sums=np.stack([_sum_sorted(place, of_class, len(bins)) for of_class in self.sums]),
            predicted=_sum_sorted(place, self.predicted[:, None], len(bins))[:, 0],
            is_exact=False,
        )

    def counts(self) -> dict[str, int]:
        """Counts that the values are computed from."""
        rows = self.positives + self.negatives
        return {"rows": rows, "positives": self.positives, "negatives": self.negatives}

    def value(self, metric: Metric, min_class_count: int = 30) -> float | None:
        """Return a metric of the sample; None with fewer positives or negatives than asked for."""
        if min(self.positives, self.negatives) < max(min_class_count, 1):
            return None
        sample = replace(
            self,
            sums=self.sums[:, :, :1],
            losses=self.losses[:1],
            predictions=self.predictions[:1],
        )
        return float(sample._all_values(metric)[0])

    def replicate_values(self, metric: Metric) -> Floats:
        """Return a metric of each replicate, (R,); NaN in one that has drawn a single class."""
        return self._all_values(metric)[1:]

    def _all_values(self, metric: Metric) -> Floats:
        negatives, positives = self.sums
        if metric == "auc":
            return histogram_auc(positives, negatives)
        weights = self.sums.sum(axis=(0, 1))
        observed = positives.sum(axis=0)
        if metric == "log_loss":
            return _divide(self.losses, weights)
        if metric == "observed_over_predicted":
            return _divide(observed, self.predictions)
        if metric == "normalised_entropy":
            rate = _divide(observed, weights)
            with np.errstate(divide="ignore", invalid="ignore"):  # one class: 0 * log 0, entropy NaN
                entropy = -(rate * np.log(rate) + (1 - rate) * np.log1p(-rate))
            return _divide(_divide(self.losses, weights), entropy)
        return self._ece(weights)

    def _ece(self, weights: Floats) -> Floats:
        """Return the expected calibration error over 15 groups of equal weight.

        Differs from the usual definition in that a group ends between two histogram bins (so equal
        scores stay together and groups are equal up to one bin), and in that replicates keep the
        groups and the mean prediction per bin of the sample.
        """
        if not len(self.bins):
            return np.full(len(weights), np.nan)
        in_bin = self.sums.sum(axis=0)
        mean_prediction = _divide(self.predicted, in_bin[:, 0])
        surplus = self.sums[1] - in_bin * mean_prediction[:, None]
        return _divide(np.abs(_sum_sorted(self._ece_groups(), surplus, ECE_GROUPS)).sum(axis=0), weights)

    def calibration_curve(self) -> list[tuple[float, float, float]]:
        """Return (mean prediction, share of positives, weight) of each of the groups of ECE."""
        if not len(self.bins):
            return []
        observed = np.stack([self.predicted, self.sums[1, :, 0], self.sums[:, :, 0].sum(axis=0)], axis=1)
        groups = _sum_sorted(self._ece_groups(), observed, ECE_GROUPS)
        return [(p / v, y / v, v) for p, y, v in groups.tolist() if v > 0]

    def _ece_groups(self) -> NDArray[np.int64]:
        """Return the group of equal weight of each occupied bin, ascending."""
        in_bin = self.sums[:, :, 0].sum(axis=0)
        middle = np.cumsum(in_bin) - 0.5 * in_bin
        groups: NDArray[np.int64] = np.minimum(
            (middle / in_bin.sum() * ECE_GROUPS).astype(np.int64), ECE_GROUPS - 1
        )
        return groups

    def to_bytes(self) -> bytes:
        """Serialise. Sums of unit weights are small integers and stored as such; nothing is rounded."""
        sizes = len(self.bins), self.sums.shape[2]
        header = _HEADER.pack(_MAGIC, self.positives, self.negatives, *sizes, self.is_exact)
        code = next((c for c in _INTEGERS if np.array_equal(self.sums.astype(c), self.sums)), _EXACT)
        exact = np.concatenate([self.predicted, self.losses, self.predictions]).astype(_EXACT)
        body = self.bins.astype("<i4").tobytes() + exact.tobytes() + self.sums.astype(code).tobytes()
        return header + code.encode() + zlib.compress(body, level=1)

    @staticmethod
    def from_bytes(data: bytes) -> "CellState":
        """Read what `to_bytes` wrote.

        Raises:
            LamplighterError: the bytes are no state, or a truncated one.
        """
        try:
            magic, positives, negatives, m, width, is_exact = _HEADER.unpack_from(data)
            if magic != _MAGIC:
                raise ValueError(f"it starts with {magic!r}")
            code = data[_HEADER.size : _HEADER.size + 3].decode()
            body = zlib.decompress(data[_HEADER.size + 3 :])
            bins = np.frombuffer(body, "<i4", count=m).astype(np.int64)
            exact = np.frombuffer(body, _EXACT, count=m + 2 * width, offset=4 * m)
            sums = np.frombuffer(body, code, offset=4 * m + 8 * (m + 2 * width)).reshape(2, m, width)
        except (struct.error, zlib.error, ValueError, UnicodeDecodeError, TypeError) as error:
            raise LamplighterError(
                f"{len(data)} bytes are no metric state ({error}); evaluate these data dates again"
            ) from error
        predicted, losses, predictions = np.split(exact, [m, m + width])
        of_bins = bins, sums.astype(np.float64), predicted
        return CellState(positives, negatives, *of_bins, losses, predictions, is_exact)


_INTEGERS = ("<u1", "<u2")
_EXACT = "<f8"


def _histogram(place: NDArray[np.int64], columns: Floats, places: int) -> Floats:
    """Return the sums of rows as `_sum_sorted` does, for many places of few rows each: ten times as fast."""
    starts = np.searchsorted(place, np.arange(places + 1))
    ones, rows = np.ones(len(place)), np.arange(len(place))
    sums: Floats = csr_matrix((ones, rows, starts), shape=(places, len(place))) @ columns
    return sums


def _sum_sorted(place: NDArray[np.int64], columns: Floats, places: int) -> Floats:
    """Return the sums of rows (n, W) of the same place, places ascending, (places, W)."""
    sums = np.zeros((places, columns.shape[1]))
    occupied, starts = np.unique(place, return_index=True)
    if len(occupied):
        sums[occupied] = np.add.reduceat(columns, starts, axis=0)
    return sums


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    """Divide; NaN where the divisor is 0."""
    out = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    np.divide(numerator, denominator, out=out, where=denominator > 0)
    return out
