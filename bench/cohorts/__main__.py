"""Is MFH better in every cohort, and most for new users? Five ways to serve cohorts, on data of known truth.

python -m bench.cohorts                 train what is not yet in the results, then print the tables
python -m bench.cohorts --table         print the tables only
python -m bench.cohorts --seeds 1       these seeds only: two processes share two cores
python -m bench.cohorts --ablations     MFH, PLE or H-MTL with one thing changed, q = .5 with 5 % new users

Data: bench/cohorts/generate.py, 208,000 examples; q in {0, .5, 1} is how differently cohorts behave, and
new users are 5 % or 20 % of training. A seed draws data and weights anew; all variants share both, so
differences are paired; test rows of both shares are the same. The five variants have the same tuning
budget, three learning rates on one data set that no final uses (q = .5, 20 % new); the lowest validation loss
wins. An ablation takes the rate of what it changes. A final stops three epochs after its lowest validation
loss. Distances are to the second ceiling (bench/cohorts/ceiling.py): AUC of the best that could be known,
minus the model's, mean over three behaviours.
"""

import argparse
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch

from bench.cohorts.ablations import ABLATIONS
from bench.cohorts.architectures import COMPARED, Variant
from bench.cohorts.data import TestBed, to_test_bed
from bench.cohorts.generate import COHORTS
from bench.cohorts.trial import auc_by_cell, mean_over_tasks, run
from bench.paired import Difference, paired_difference
from bench.results import Results
from bench.tables import print_table

DIFFERENCES, SHARES, SEEDS = (0.0, 0.5, 1.0), (0.05, 0.2), (1, 2, 3)
LEARNING_RATES = (0.002, 0.004, 0.008)
TUNING = {"difference": 0.5, "share_of_new": 0.2, "seed": 1000}
RESULTS = Results("cohorts")

Key = dict[str, Any]
Distances = dict[int, dict[str, float]]
"""Seed -> cohort -> distance to the second ceiling."""


def tuned_rate(name: str, variant: Variant) -> float:
    """The learning rate with the lowest validation loss on the tuning data."""
    losses = {}
    for rate in LEARNING_RATES:
        key = {"step": "tune", "variant": name, "learning_rate": rate, **TUNING}
        losses[rate] = RESULTS.once(key, lambda rate=rate: _train(name, variant, rate, TUNING))[  # type: ignore[misc]
            "validation_loss"
        ]
    return min(losses, key=lambda rate: losses[rate])


def final(name: str, variant: Variant, where: Key) -> Key:
    """One final training on one data set."""
    tuned = variant.tuned_as or name
    return RESULTS.once(
        {"step": "final", "variant": name, **where},
        lambda: _train(name, variant, tuned_rate(tuned, COMPARED[tuned]), where),
    )


def ceilings(where: Key) -> Key:
    """Both ceilings of one data set by cell, and how far apart the second is by halves of its particles."""

    def find() -> Key:
        bed = to_test_bed(**where)
        found = {
            name: auc_by_cell(p, bed.test, bed.data.tasks)
            for name, p in (
                ("true", bed.true),
                ("expected", bed.expected),
                ("half_1", bed.halves[0]),
                ("half_2", bed.halves[1]),
            )
        }
        return {"auc": found}

    return RESULTS.once({"step": "ceiling", **where}, find)


def _train(name: str, variant: Variant, rate: float, where: Key) -> Key:
    bed: TestBed = to_test_bed(**where)
    result, logits = run(variant, bed.data, bed.test, rate, where["seed"])
    result["auc"] = auc_by_cell(logits, bed.test, bed.data.tasks)
    means = {cohort: round(auc, 4) for cohort, auc in mean_over_tasks(result["auc"]).items()}
    print(name, where, rate, means, f"{result['seconds']} s", flush=True)
    return result


def data_sets(seeds: Iterable[int], differences: Iterable[float], shares: Iterable[float]) -> list[Key]:
    """All data sets of some seeds, seed by seed: a run that is cut off has all of them for the first."""
    return [
        {"difference": q, "share_of_new": share, "seed": seed}
        for seed, q, share in product(seeds, differences, shares)
    ]


def distances(name: str, where: Key, done: dict[str, Key]) -> dict[str, float] | None:
    """Cohort -> distance to the second ceiling; null if it has not been trained yet."""
    trained, ceiling = done.get(_id("final", name, where)), done.get(_id("ceiling", None, where))
    if trained is None or ceiling is None:
        return None
    top, found = mean_over_tasks(ceiling["auc"]["expected"]), mean_over_tasks(trained["auc"])
    return {cohort: top[cohort] - found[cohort] for cohort in COHORTS}


def _id(step: str, name: str | None, where: Key) -> str:
    return f"{step} {name} {where['difference']} {where['share_of_new']} {where['seed']}"


def finished() -> dict[str, Key]:
    """Every result so far, by step, variant and data set."""
    return {_id(row["step"], row.get("variant"), row): row for row in RESULTS.all() if row["step"] != "tune"}


def distance_table(names: Iterable[str], differences: Iterable[float], shares: Iterable[float]) -> None:
    """Mean distance over seeds, a variant and data set a row."""
    done, rows = finished(), []
    for q, share, name in product(differences, shares, names):
        wheres = [{"difference": q, "share_of_new": share, "seed": seed} for seed in SEEDS]
        found = [d for where in wheres if (d := distances(name, where, done)) is not None]
        if found:
            by_cohort = [[d[cohort] for d in found] for cohort in COHORTS]
            rows.append(
                [q, share, name, len(found), *(f"{np.mean(d):.4f} ({np.ptp(d):.4f})" for d in by_cohort)]
            )
    print_table(["q", "share of new", "variant", "seeds", *COHORTS], rows)


def gain_table(
    ours: str, names: Iterable[str], differences: Iterable[float], shares: Sequence[float]
) -> None:
    """How much closer `ours` is than each other variant, paired over seeds, with 95 % intervals.

    A seed's gain is the mean over its shares, which have one test part.
    """
    done, rows = finished(), []
    for q, name in product(differences, names):
        if name == ours:
            continue
        one, other = (mean_distances(who, q, shares, done) for who in (ours, name))
        if len(one.keys() & other.keys()) > 1:
            rows.append([q, name, len(one.keys() & other.keys()), *gains(one, other)])
    print_table(["q", f"{ours} against", "seeds", *COHORTS], rows)


def change_table(difference: float, shares: Sequence[float]) -> None:
    """How much closer each ablation is than what it changes, paired over seeds, with 95 % intervals."""
    done, rows = finished(), []
    for name, variant in ABLATIONS.items():
        base = variant.tuned_as or name
        one, other = (mean_distances(who, difference, shares, done) for who in (name, base))
        if len(one.keys() & other.keys()) > 1:
            rows.append([name, base, len(one.keys() & other.keys()), *gains(one, other)])
    print_table(["change", "of", "seeds", *COHORTS], rows)


def gains(one: Distances, other: Distances) -> list[Difference]:
    """How much closer one is than the other, by cohort."""
    by_cohort = [[{seed: d[cohort] for seed, d in who.items()} for who in (other, one)] for cohort in COHORTS]
    return [paired_difference(far, near) for far, near in by_cohort]


def mean_distances(name: str, difference: float, shares: Sequence[float], done: dict[str, Key]) -> Distances:
    """Mean over shares; seeds that lack one of them are left out."""
    found = {}
    for seed in SEEDS:
        wheres = [{"difference": difference, "share_of_new": share, "seed": seed} for share in shares]
        of_shares = [d for where in wheres if (d := distances(name, where, done)) is not None]
        if len(of_shares) == len(shares):
            found[seed] = {c: float(np.mean([d[c] for d in of_shares])) for c in COHORTS}
    return found


def ceiling_table() -> None:
    """Ceilings, mean over behaviours and seeds, and the Monte-Carlo error of the second.

    Those of one share: the other has the same test rows.
    """
    rows = []
    for q in DIFFERENCES:
        key = ("ceiling", q, SHARES[0])
        found = [
            row["auc"]
            for row in RESULTS.all()
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
    parser.add_argument("--ablations", action="store_true")
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    variants = COMPARED | (ABLATIONS if arguments.ablations else {})
    differences, shares = ((0.5,), (0.05,)) if arguments.ablations else (DIFFERENCES, SHARES)
    if not arguments.table:
        for name, variant in variants.items():
            if variant.tuned_as is None:
                tuned_rate(name, variant)
        for where in data_sets(arguments.seeds, differences, shares):
            ceilings(where)
            for name, variant in variants.items():
                final(name, variant, where)
    if not arguments.ablations:
        ceiling_table()
        print()
    distance_table(variants, differences, shares)
    print()
    if arguments.ablations:
        change_table(differences[0], shares)
    else:
        gain_table("mfh", variants, differences, shares)


if __name__ == "__main__":
    main()
