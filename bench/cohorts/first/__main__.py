"""Which way to serve cohorts is closest to what can be known, on data of known truth?

python -m bench.cohorts.first                 train what is not yet in the results, then print the tables
python -m bench.cohorts.first --table         print the tables only
python -m bench.cohorts.first --seeds 1       these seeds only: two processes share two cores
python -m bench.cohorts.first --ablations     MFH, PLE or H-MTL with one thing changed (q = .5, 5 % new users)
python -m bench.cohorts.first --level0        MFH with and without level 0, q = .5 and 1 with 5 % new users

Data: bench/cohorts/generate.py, 208,000 examples; q in {0, .5, 1} is how differently cohorts behave, and
new users are 5 % or 20 % of training. A seed draws data and weights anew; all variants share both, so
differences are paired; test rows of both shares are the same. All variants of a study have the same tuning
budget, on one data set that no final uses: three learning rates on q = .5 with 20 % new users, or with
--level0 four on q = .5 with 5 %; the lowest validation loss wins. An ablation takes the rate of what it
changes. A final stops three epochs after its lowest validation loss. Distances are to the second ceiling
(bench/cohorts/ceiling.py): AUC of the best that could be known, minus the model's, mean over three
behaviours.
"""

import argparse
from collections.abc import Iterable, Sequence
from itertools import product

import numpy as np
import torch

from bench.cohorts.architectures import COMPARED
from bench.cohorts.first.ablations import ABLATIONS
from bench.cohorts.first.level0 import LEVEL0, PAIRS
from bench.cohorts.first.study import CEILINGS, Study
from bench.cohorts.measures import mean_over_tasks
from bench.paired import Difference, paired_difference
from bench.results import Results
from bench.tables import print_table
from jobs.workers.synthetic.dials import COHORTS

DIFFERENCES, SHARES, SEEDS = (0.0, 0.5, 1.0), (0.05, 0.2), (1, 2, 3)
TUNING = {"difference": 0.5, "share_of_new": 0.2, "seed": 1000}
RATES = (0.002, 0.004, 0.008)

COMPARISON = Study(Results("cohorts"), COMPARED, DIFFERENCES, SHARES, RATES, TUNING)
ABLATION = Study(Results("cohorts"), COMPARED | ABLATIONS, (0.5,), (0.05,), RATES, TUNING)
WITH_LEVEL0 = Study(
    Results("cohorts_level0"),
    LEVEL0,
    differences=(0.5, 1.0),
    shares=(0.05,),
    learning_rates=(0.002, 0.004, 0.008, 0.016),
    tuning={"difference": 0.5, "share_of_new": 0.05, "seed": 1000},
)

Distances = dict[int, dict[str, float]]
"""Seed -> cohort -> distance to the second ceiling."""


def distance_table(study: Study) -> None:
    """Print the mean distance over seeds, one row per variant and data set."""
    rows = []
    for q, share, name in product(study.differences, study.shares, study.variants):
        found = mean_distances(study, name, q, (share,)).values()
        if found:
            by_cohort = [[d[cohort] for d in found] for cohort in COHORTS]
            rows.append(
                [q, share, name, len(found), *(f"{np.mean(d):.4f} ({np.ptp(d):.4f})" for d in by_cohort)]
            )
    print_table(["q", "share of new", "variant", "seeds", *COHORTS], rows)


def gain_table(study: Study, pairs: Iterable[tuple[str, str]]) -> None:
    """Print how much closer `ours` is than `theirs`, paired over seeds, with 95 % intervals.

    A seed's gain is the mean over its shares, which have one test split.
    """
    rows = []
    for q, (ours, theirs) in product(study.differences, pairs):
        one, other = (mean_distances(study, name, q, study.shares) for name in (ours, theirs))
        if len(one.keys() & other.keys()) > 1:
            rows.append([q, ours, theirs, len(one.keys() & other.keys()), *gains(one, other)])
    print_table(["q", "this", "against", "seeds", *COHORTS], rows)


def pooled_table(study: Study, pairs: Iterable[tuple[str, str]]) -> None:
    """Print the same over all pairs of data set and seed, and in how many of them `ours` is closer."""
    rows = []
    for ours, theirs in pairs:
        one, other = (_pooled(study, name) for name in (ours, theirs))
        common = sorted(one.keys() & other.keys())
        if len(common) > 1:
            closer = [sum(one[n][cohort] < other[n][cohort] for n in common) for cohort in COHORTS]
            shown = [
                f"{gain} ({n} of {len(common)})" for gain, n in zip(gains(one, other), closer, strict=True)
            ]
            rows.append([ours, theirs, *shown])
    print_table(["this", "against", *COHORTS], rows)


def gains(one: Distances, other: Distances) -> list[Difference]:
    """Return how much closer one is than the other, by cohort."""
    by_cohort = [[{seed: d[cohort] for seed, d in who.items()} for who in (other, one)] for cohort in COHORTS]
    return [paired_difference(far, near) for far, near in by_cohort]


def mean_distances(study: Study, name: str, difference: float, shares: Sequence[float]) -> Distances:
    """Return the mean over shares; seeds that lack one of them are left out."""
    found = {}
    for seed in SEEDS:
        wheres = [{"difference": difference, "share_of_new": share, "seed": seed} for share in shares]
        of_shares = [d for where in wheres if (d := study.distances(name, where)) is not None]
        if len(of_shares) == len(shares):
            found[seed] = {c: float(np.mean([d[c] for d in of_shares])) for c in COHORTS}
    return found


def _pooled(study: Study, name: str) -> Distances:
    """Return the distances on all data sets, each with a number of its own in place of a seed."""
    by_q = [mean_distances(study, name, q, study.shares) for q in study.differences]
    return {100 * place + seed: d for place, found in enumerate(by_q) for seed, d in found.items()}


def ceiling_table() -> None:
    """Print the ceilings, mean over behaviours and seeds, and the Monte-Carlo error of the second.

    Those of one share: the other has the same test rows.
    """
    rows = []
    for q in DIFFERENCES:
        key = ("ceiling", q, SHARES[0])
        found = [
            row["auc"]
            for row in CEILINGS.all()
            if (row["step"], row["difference"], row.get("share_of_new")) == key
        ]
        for cohort in COHORTS if found else ():
            true, expected, one, other = (
                np.array([mean_over_tasks(auc[name])[cohort] for auc in found])
                for name in ("true", "expected", "half_1", "half_2")
            )
            error = np.abs(one - other).max()
            rows.append(
                [q, cohort, len(found), f"{true.mean():.4f}", f"{expected.mean():.4f}", f"{error:.4f}"]
            )
    print_table(["q", "cohort", "seeds", "truth", "can be known", "largest difference of halves"], rows)


def main() -> None:
    """Train, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--table", action="store_true", help="train nothing")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--ablations", action="store_true")
    which.add_argument("--level0", action="store_true")
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    study, pairs = COMPARISON, [("mfh", name) for name in COMPARED if name != "mfh"]
    if arguments.ablations:
        study, pairs = ABLATION, [(name, change.tuned_as or "mfh") for name, change in ABLATIONS.items()]
    elif arguments.level0:
        study, pairs = WITH_LEVEL0, list(PAIRS)
    if not arguments.table:
        study.train(arguments.seeds)
    if study is COMPARISON:
        ceiling_table()
        print()
    distance_table(study)
    print()
    gain_table(study, pairs)
    if study is WITH_LEVEL0:
        print()
        pooled_table(study, pairs)


if __name__ == "__main__":
    main()
