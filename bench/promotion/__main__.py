"""How often is a model promoted that is no better, and how often is a better one kept out?

python -m bench.promotion            train and simulate what is not yet in the results, then print
python -m bench.promotion --table    print the tables only

Trainings of PLE on KuaiRand-Pure, measured on its test days, in disjoint pairs: two of the same data differ
in the seed alone, so each promotion is a wrong one; a training on all users against one on six tenths of
them is an improvement. Beside them logs of known truth (bench/promotion/simulated.py), of which there are as
many as one likes. The old rule is that until November 2026, the new one is quality/promotion.py.
"""

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.command_line import is_table_only
from bench.kuairand.data import kuairand
from bench.promotion.cells import MeasuredCells, Sample, baseline_logits
from bench.promotion.rates import Rate, seed_std
from bench.promotion.rules import Outcome, outcome, rules_with
from bench.promotion.simulated import pair
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
SIMULATED_SEED_STD = 0.0011  # measured on the first logs; the table prints it anew
BATCHES, LOGS = 20, 50
TRUE_GAIN = 0.005
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
    """The test rows."""
    found = kuairand()
    tasks = tuple(task.name for task in found.data.tasks)
    cohorts = found.data.cohorts["user_cohort"]
    return Sample(tasks, cohorts, found.test.labels, found.test.user_group, found.users["test"], REPLICATES)


@cache
def measured(training: Training) -> MeasuredCells:
    """One training on the test rows."""
    return sample().measure(logits_of(*training))


@cache
def baselines() -> Mapping[Baseline, MeasuredCells]:
    """Rates of items, and of user cohorts x types of upload, in the training days."""
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


def decide_pair(trainings: Pair) -> dict[str, Any]:
    """What both rules say of one pair, and its gains by cell with their standard errors over users."""
    candidate, champion = map(measured, trainings)
    cells = sample().cells(candidate, champion, baselines())
    return asdict(outcome(cells, load_config().promotion)) | {"cells": _gains(cells)}


def _gains(cells: list[Cell]) -> dict[str, list[float]]:
    found = {}
    for cell in cells:
        gain = None if cell.champion is None else cell_gain(cell.metric, cell.candidate, cell.champion)
        if gain is not None:
            found[cell.name] = [round(gain.value, 5), round(gain.variance**0.5, 5)]
    return found


def decide_logs(gain: float, batch: int) -> dict[str, Any]:
    """What both rules say of a batch of simulated logs, a pair of trainings each."""
    rules = rules_with(SIMULATED_SEED_STD)
    found = [outcome(pair(LOGS * batch + number, gain), rules) for number in range(LOGS)]
    print(f"logs of gain {gain:g}, batch {batch}", flush=True)
    return {name: [getattr(each, name) for each in found] for name in Outcome.__dataclass_fields__}


def rules_key() -> dict[str, float]:
    """What a decision depends on, so that other margins are decided anew."""
    rules = load_config().promotion
    return {"margin": rules.margin, "cell_margin": rules.cell_margin, "seed_std": rules.seed_std["auc"]}


def run() -> None:
    """Do what is not yet in the results."""
    for what, pairs in (("same", SAME), ("better", BETTER)):
        for trainings in pairs:
            key: dict[str, Any] = {
                "what": what,
                "candidate": list(trainings[0]),
                "champion": list(trainings[1]),
            }
            RESULTS.once(key | rules_key(), partial(decide_pair, trainings))
    simulated = rules_key() | {"seed_std": SIMULATED_SEED_STD}
    for batch in range(BATCHES):
        for gain in (0.0, TRUE_GAIN):
            batch_key = {"what": "simulated", "true_gain": gain, "batch": batch}
            RESULTS.once(batch_key | simulated, partial(decide_logs, gain, batch))


def outcomes(what: str, gain: float = 0.0) -> list[Outcome]:
    """The outcomes so far, under the configured rules."""
    expected: dict[str, Any] = {"what": what} | rules_key()
    if what == "simulated":
        expected |= {"true_gain": gain, "seed_std": SIMULATED_SEED_STD}
    rows = [row for row in RESULTS.all() if all(row.get(name) == value for name, value in expected.items())]
    names = list(Outcome.__dataclass_fields__)
    if what != "simulated":
        return [Outcome(**{name: row[name] for name in names}) for row in rows]
    return [
        Outcome(**dict(zip(names, values, strict=True)))
        for row in rows
        for values in zip(*(row[name] for name in names), strict=True)
    ]


def tables() -> None:
    """Rates of both rules; then what gains vary by."""
    cases = {
        "KuaiRand, another seed": (outcomes("same"), True),
        "KuaiRand, all users against .6 of them": (outcomes("better"), False),
        "simulated, another seed": (outcomes("simulated"), True),
        "simulated, true gain .005": (outcomes("simulated", TRUE_GAIN), False),
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


def _spread(found: list[Outcome], is_same: bool) -> list[str]:
    """Mean gain, its spread over pairs, and what of it are users and seeds."""
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
