"""How sure are differences over several worlds, of several comparisons at once?

An interval is of the mean over all worlds of this kind and all seeds: worlds are drawn with replacement, then
seeds within each, so it covers that other worlds or other seeds would have been taken. It does not cover
worlds of another kind than these, nor an effect that a seed has in all worlds alike: one seed draws the same
users and items in each. Whether there is such an effect says `seed_effect`.

Each replicate gives t = (its mean - the mean) / its standard error, that of world means (bootstrap-t; Efron
and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 12): with few worlds percentiles would be
too narrow. How rare a |t| is among the replicates of its own comparison makes comparisons alike, whatever
their tails; the rarest of a replicate gives simultaneous intervals, each of the same level (Beran, Balanced
Simultaneous Confidence Sets, JASA 83, 1988), and adjusted p values by the share of replicates whose rarest is
at least as rare as a comparison's own |t| (Westfall and Young, Resampling-Based Multiple Testing, 1993,
single-step min-p): where no variant of any pair is better, 5 % of studies find one that is. With the largest
|t| itself, one variant that fails in one world would widen the intervals of all others.

Letters: F comparisons, W worlds, S most seeds of a world, R replicates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.paired import Difference
from jobs.workers.synthetic.hashing import Floats, Ints

REPLICATES = 40_000
RANDOM_SEED = 1
LEVEL = 0.95
AT_ONCE = 1_000
"""Replicates that are drawn together: memory is F x W x S times of it."""


@dataclass(frozen=True)
class Compared:
    """One comparison over all worlds.

    Attributes:
        alone: mean, and its 95 % interval.
        together: the interval that holds for all comparisons at once.
        p: adjusted for all comparisons.
        closer: number of pairs of world and seed with a difference above 0.
        pairs: all of them.
    """

    alone: Difference
    together: Difference
    p: float
    closer: int
    pairs: int


def compare(differences: Sequence[Floats], replicates: int = REPLICATES) -> list[Compared]:
    """Return each comparison of a family; worlds count equally, however many seeds they have.

    Args:
        differences: of each world, (seeds of the world, F).
        replicates: R.

    Raises:
        ValueError: there are fewer than three worlds, or no comparison.
    """
    if len(differences) < 3 or not differences[0].shape[1]:
        raise ValueError(
            f"differences has {len(differences)} worlds; expected at least 3, with a comparison each"
        )
    means_WF = np.stack([of_world.mean(0) for of_world in differences])
    mean_F, error_F = means_WF.mean(0), _error(means_WF)
    return to_compared(mean_F, error_F, _replicates(differences, replicates), np.concatenate(differences))


def to_compared(mean_F: Floats, error_F: Floats, t_RF: Floats, all_pairs: Floats) -> list[Compared]:
    """Return each comparison of a family.

    Args:
        mean_F, error_F: of the sample, with its standard error.
        t_RF: of each replicate, its distance from the mean in its own standard errors.
        all_pairs: the differences that are counted, (pairs, F).
    """
    t_RF = np.abs(t_RF)
    sorted_RF = np.sort(t_RF, axis=0)
    alone_F = np.quantile(sorted_RF, LEVEL, axis=0, method="higher")
    rarest_R = np.max([_below(of, own) for of, own in zip(sorted_RF.T, t_RF.T, strict=True)], axis=0)
    level = int(np.quantile(rarest_R, LEVEL, method="higher"))
    together_F = sorted_RF[level]
    own_F = to_t(np.abs(mean_F), error_F)
    p_F = [
        (1 + (rarest_R >= _below(of, own)).sum()) / (1 + len(t_RF))
        for of, own in zip(sorted_RF.T, own_F, strict=True)
    ]
    return [
        Compared(
            alone=_around(mean_F[f], alone_F[f] * error_F[f]),
            together=_around(mean_F[f], together_F[f] * error_F[f]),
            p=float(p_F[f]),
            closer=int((all_pairs[:, f] > 0).sum()),
            pairs=len(all_pairs),
        )
        for f in range(len(mean_F))
    ]


def seed_effect(values_WS: Floats) -> float:
    """Return F of an effect that seeds have in all worlds alike: about 1 without one, nan of a single seed.

    Args:
        values_WS: a comparison in worlds, of the same seeds each.
    """
    worlds = len(values_WS)
    by_seed = values_WS.mean(0, keepdims=True) - values_WS.mean()
    rest = values_WS - values_WS.mean(1, keepdims=True) - by_seed
    if not rest.any():
        return float("nan")
    return float(worlds * np.square(by_seed).sum() * (worlds - 1) / np.square(rest).sum())


def _below(sorted_R: Floats, t: Floats) -> Ints:
    """Return how many of a comparison's replicates are below each t: the more, the rarer."""
    return np.searchsorted(sorted_R, t, side="left")


def _replicates(differences: Sequence[Floats], replicates: int) -> Floats:
    """Return t of each replicate, (R, F)."""
    seeds_W = np.array([len(of_world) for of_world in differences])
    most = int(seeds_W.max())
    values_WSF = np.stack([np.resize(of_world, (most, of_world.shape[1])) for of_world in differences])
    mean_F = np.stack([of_world.mean(0) for of_world in differences]).mean(0)
    random, found = np.random.default_rng(RANDOM_SEED), []
    for start in range(0, replicates, AT_ONCE):
        r = min(AT_ONCE, replicates - start)
        world_RW: Ints = random.integers(len(seeds_W), size=(r, len(seeds_W)))
        seeds_RW = seeds_W[world_RW]
        seed_RWS = np.floor(random.random((r, len(seeds_W), most)) * seeds_RW[..., None]).astype(int)
        is_drawn = np.arange(most) < seeds_RW[..., None]
        drawn_RWSF = values_WSF[world_RW[..., None], seed_RWS]
        means_RWF = np.einsum("rws,rwsf->rwf", is_drawn / seeds_RW[..., None], drawn_RWSF)
        found.append(to_t(means_RWF.mean(1) - mean_F, _error(means_RWF)))
    return np.concatenate(found)


def _error(means: Floats) -> Floats:
    """Return the standard error of the mean over worlds, (..., W, F) to (..., F)."""
    error: Floats = means.std(axis=-2, ddof=1) / np.sqrt(means.shape[-2])
    return error


def to_t(above: Floats, below: Floats) -> Floats:
    """Return above / below; without any spread a difference is infinitely many errors, and 0 is none."""
    return np.divide(above, below, out=np.where(above == 0, 0.0, np.inf), where=below > 0)


def _around(mean: float, half: float) -> Difference:
    return Difference(float(mean), float(mean - half), float(mean + half))
