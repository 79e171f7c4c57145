"""How sure are differences of several trainings, measured on one sample of users?

An interval is of the mean over all users like these and all seeds of weights and order: both are drawn with
replacement, independently (crossed), each draw of users for all drawn seeds alike and each draw of seeds for
all variants alike. It covers that other users of these test days, or other seeds, would have been taken. It
does not cover other days, other training rows or other data sets.

Each replicate gives t = (its mean - the mean) / its standard error, whose square is the variance over draws
of users of the mean over seeds, plus the variance between its seeds / S: with few seeds percentiles would be
too narrow. The variance over users is that of the sample in all replicates: users are many. What user and
seed do together is in both terms, and in replicates once more, so intervals are rather too wide than too
narrow: by up to 1.7 times where there is nothing else (Owen, The pigeonhole bootstrap, Annals of Applied
Statistics 2007). From t follow intervals of one comparison and of
all at once, and adjusted p values, as in bench/cohorts/intervals.py.

Letters: S seeds, R draws of users, F comparisons; index 0 of every 1 + R is the sample itself.
"""

import numpy as np

from bench.cohorts.intervals import AT_ONCE, RANDOM_SEED, REPLICATES, Compared, to_compared, to_t
from jobs.workers.synthetic.hashing import Floats


def compare_crossed(gains_SRF: Floats, replicates: int = REPLICATES) -> list[Compared]:
    """Return each comparison of a family; `pairs` are seeds, and `closer` those with a gain above 0.

    Args:
        gains_SRF: ours minus theirs by seed, of the sample and of each draw of users, (S, 1 + R, F).
        replicates: number of them.

    Raises:
        ValueError: there are fewer than two seeds or draws, or no comparison.
    """
    seeds, draws, comparisons = gains_SRF.shape
    if seeds < 2 or draws < 3 or not comparisons:
        raise ValueError(
            f"gains has {seeds} seeds, {draws - 1} draws of users and {comparisons} comparisons; expected at "
            "least 2, 2 and 1"
        )
    sample_SF = gains_SRF[:, 0]
    mean_F = sample_SF.mean(0)
    over_users_F = gains_SRF[:, 1:].mean(0).var(0, ddof=1)
    random, found = np.random.default_rng(RANDOM_SEED), []
    for start in range(0, replicates, AT_ONCE):
        b = min(AT_ONCE, replicates - start)
        draw_B1 = random.integers(1, draws, size=(b, 1))
        drawn_BSF = gains_SRF[random.integers(seeds, size=(b, seeds)), draw_B1]
        error_BF = np.sqrt(over_users_F + drawn_BSF.var(1, ddof=1) / seeds)
        found.append(to_t(drawn_BSF.mean(1) - mean_F, error_BF))
    error_F = np.sqrt(over_users_F + sample_SF.var(0, ddof=1) / seeds)
    return to_compared(mean_F, error_F, np.concatenate(found), sample_SF)
