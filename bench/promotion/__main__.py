"""How often is a model promoted that is no better, and how often is a better one kept out?

python -m bench.promotion            train and simulate what is not yet in the results, then print
python -m bench.promotion --table    print the tables only

Trainings of PLE on KuaiRand-Pure, measured on its test days, in disjoint pairs: two of the same data differ
in the seed alone, so each promotion is a wrong one; a training on all users against one on six tenths of
them is an improvement. Beside them logs of known truth (bench/promotion/simulated.py), whose number is
not limited. The old rule is that until November 2026, the new one is quality/promotion.py.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.command_line import is_table_only
from bench.kuairand.data import kuairand
from bench.promotion.cells import MeasuredCells, Sample, baseline_logits
from bench.promotion.rates import Rate, seed_std
from bench.promotion.rules import Outcome, cells_with, old_rule, outcome, rules_with
from bench.promotion.simulated import USERS, pair
from bench.promotion.trainings import logits_of
from bench.results import Results
from bench.tables import print_table
from core.load import load_config
from quality.gains import cell_gain
from quality.promotion import Cell
from quality.served import Baseline

SEEDS, FEWER_SEEDS = range(1, 109), range(1, 45)  # of trainings on all users, and on a share of them
SHARE = 0.6
REPLICATES = load_config().evaluation.replicates
SIMULATED_SEED_STD = {"click": 0.0023, "long_view": 0.0023, "like": 0.028}  # of 60 logs beside these
TRUE_GAIN = 0.005
SIMULATED: dict[str, tuple[float, int, float, int, int]] = {
    "simulated, another seed": (0.0, USERS, 1.0, 20, 50),
    "simulated, true gain .005": (TRUE_GAIN, USERS, 1.0, 20, 50),
    "simulated, another seed, rules with half of the variance": (0.0, USERS, 0.7, 20, 50),
    "simulated, another seed, 25 times the users": (0.0, 25 * USERS, 1.0, 4, 20),
}
"""Name -> true gain, users, share of the true deviation over seeds in the rules, batches, logs per batch."""
RESULTS = Results("promotion")

Ints = NDArray[Any]
Training = tuple[float, int]
Pair = tuple[Training, Training]
"""Share of users and seed of the candidate, and of the champion."""

SAME: list[Pair] = [
    ((share, seed), (share, seed + 1))
    for share, seeds in ((1.0, SEEDS), (SHARE, FEWER_SEEDS))
    for seed in seeds[::2]
]
BETTER: list[Pair] = [((1.0, seed), (SHARE, seed)) for seed in FEWER_SEEDS]


@cache
def sample() -> Sample:
    """Return the test rows."""
    found = kuairand()
    tasks = tuple(task.name for task in found.data.tasks)
    cohorts = found.data.cohorts["user_cohort"]
    return Sample(tasks, cohorts, found.test.labels, found.test.user_group, found.users["test"], REPLICATES)


@cache
def measured(training: Training) -> MeasuredCells:
    """Return the AUC of one training on the test rows."""
    return sample().measure(logits_of(*training))


@cache
def baselines() -> Mapping[Baseline, MeasuredCells]:
    """Return rates of items, and of user cohorts x types of upload, in the training days."""
    found = kuairand()
    train, test = found.data.train, found.test
    names = [encoding.column for encoding in found.data.encoder.categorical]
    item, upload = names.index("item_id"), names.index("item_upload_type")
    keys: dict[Baseline, tuple[Ints, Ints]] = {
        "popularity": (train.categorical[:, item], test.categorical[:, item]),
        "group_mean": (
            3 * train.categorical[:, upload] + train.user_group,
            3 * test.categorical[:, upload] + test.user_group,
        ),
    }
    return {name: sample().measure(baseline_logits(train, test, own)) for name, own in keys.items()}


def measure_pair(trainings: Pair) -> dict[str, Any]:
    """Return one pair's gains by cell with standard errors over users, and the decision of the old rule."""
    candidate, champion = map(measured, trainings)
    cells = sample().cells(candidate, champion, baselines())
    old, old_veto = old_rule(cells)
    return {"old": old, "old_veto": old_veto, "cells": _gains(cells)}


def _gains(cells: list[Cell]) -> dict[str, list[float]]:
    found = {}
    for cell in cells:
        gain = None if cell.champion is None else cell_gain(cell.metric, cell.candidate, cell.champion)
        if gain is not None:
            found[cell.name] = [round(gain.value, 5), round(gain.variance**0.5, 5)]
    return found


def decide_logs(gain: float, users: int, std_share: float, batch: int, logs: int) -> dict[str, Any]:
    """Return the decisions of both rules on a batch of simulated logs, one pair of trainings per log."""
    rules = rules_with(simulated_stds(std_share))
    found = [outcome(pair(logs * batch + number, gain, users), rules) for number in range(logs)]
    print(f"{users} users, gain {gain:g}, seed deviation x {std_share:g}: batch {batch}", flush=True)
    return {name: [getattr(each, name) for each in found] for name in Outcome.__dataclass_fields__}


def simulated_stds(std_share: float) -> dict[str, float]:
    """Return the standard deviations over seeds that the rule is configured with, by task."""
    return {task: std_share * std for task, std in SIMULATED_SEED_STD.items()}


def simulated_key(gain: float, users: int, std_share: float) -> dict[str, Any]:
    """Return what a simulated decision depends on, so that a changed rule decides anew."""
    rules = load_config().promotion
    margins = {"margin": rules.margin["auc"], "cell_margin": rules.cell_margin["auc"]}
    stds = {"task_seed_std": simulated_stds(std_share), "cells": "shown"}
    return {"what": "simulated", "true_gain": gain, "users": users} | margins | stds


def run() -> None:
    """Do the trainings and simulations that are not yet in the results."""
    for what, pairs in (("same", SAME), ("better", BETTER)):
        for trainings in pairs:
            names = dict(zip(("candidate", "champion"), map(list, trainings), strict=True))
            RESULTS.once({"what": what, **names}, partial(measure_pair, trainings))
    for gain, users, std_share, batches, logs in SIMULATED.values():
        for batch in range(batches):
            key = simulated_key(gain, users, std_share) | {"batch": batch}
            RESULTS.once(key, partial(decide_logs, gain, users, std_share, batch, logs))


def rows_of(expected: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the results with these values."""
    return [row for row in RESULTS.all() if all(row.get(name) == each for name, each in expected.items())]


def pair_outcomes(what: str) -> list[Outcome]:
    """Return the decisions on the measured pairs; cells are taken to vary independently over users."""
    rules = load_config().promotion
    found = [(row, outcome(cells_with(row["cells"]), rules)) for row in rows_of({"what": what})]
    return [replace(one, old=row["old"], old_veto=row["old_veto"]) for row, one in found]


def simulated_outcomes(gain: float, users: int, std_share: float) -> list[Outcome]:
    """Return the decisions on the simulated logs."""
    names = list(Outcome.__dataclass_fields__)
    return [
        Outcome(**dict(zip(names, values, strict=True)))
        for row in rows_of(simulated_key(gain, users, std_share))
        for values in zip(*(row[name] for name in names), strict=True)
    ]


def seed_stds() -> dict[str, tuple[float, float]]:
    """Return task -> standard deviation over seeds of its gain in one cell, and its standard error."""
    pairs = [row["cells"] for row in rows_of({"what": "same"})]
    tasks = dict.fromkeys(name.split(" of ")[0] for cells in pairs for name in cells)
    by_task = {
        task: [each for cells in pairs for name, each in cells.items() if name.startswith(f"{task} of ")]
        for task in tasks
    }
    return {
        task: seed_std([gain for gain, _ in cells], [std for _, std in cells])
        for task, cells in by_task.items()
    }


def tables() -> None:
    """Print rates of both rules; then what gains vary by."""
    cases = {
        "KuaiRand, another seed": (pair_outcomes("same"), True),
        "KuaiRand, all users against .6 of them": (pair_outcomes("better"), False),
        **{
            name: (simulated_outcomes(gain, users, std_share), gain == 0)
            for name, (gain, users, std_share, _, _) in SIMULATED.items()
        },
    }
    rows, gains = [], []
    for name, (found, is_same) in cases.items():
        event = "wrong promotion" if is_same else "missed improvement"
        old, new = ([one.old == is_same for one in found], [one.new == is_same for one in found])
        above, veto = [one.mean_is_above for one in found], [one.old_veto for one in found]
        worse = [one.worse > 0 for one in found]
        rows.append([name, event, *map(Rate.of, (old, new, above, veto, worse))])
        if found:
            gains.append([name, len(found), *_spread(found, is_same)])
    head = ["pairs", "rate", "old rule", "new rule", "mean above the margin", "old veto", "a cell is worse"]
    print_table(head, rows)
    print()
    print_table(
        ["pairs", "n", "mean gain", "std of gains", "std over users", "std over seeds", "undecided cells"],
        gains,
    )

    print()
    stds = [[task, f"{std:.4f}", f"{error:.4f}"] for task, (std, error) in seed_stds().items()]
    print_table(["task", "std over seeds of one cell", "standard error"], stds)


def _spread(found: list[Outcome], is_same: bool) -> list[str]:
    """Return the mean gain, its spread over pairs, and the shares of users and of seeds in it."""
    gains, users = [one.gain for one in found], [one.user_std for one in found]
    mean, total = float(np.mean(gains)), float(np.std(gains, ddof=1))
    std, error = seed_std(gains if is_same else [gain - mean for gain in gains], users)
    return [
        f"{mean:+.5f} ({total / np.sqrt(len(gains)):.5f})",
        f"{total:.5f}",
        f"{np.sqrt(np.mean(np.square(users))):.5f}",
        f"{std:.5f} ({error:.5f})",
        f"{np.mean([one.undecided for one in found]):.1f}",
    ]


def main() -> None:
    """Train and simulate, then print."""
    if not is_table_only(__doc__ or ""):
        run()
    tables()


if __name__ == "__main__":
    main()
