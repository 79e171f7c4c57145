"""Do the logits of cohorts differ in scale, and is a slope for each worth its rows?

python -m bench.calibration                train what is not yet in the results, then print the tables
python -m bench.calibration --table        print the tables only
python -m bench.calibration --seeds 4 5    these seeds only

Two worlds of known truth (bench/cohorts/worlds.py): base, and the one in which behaviours share nothing of
what sets cohorts apart. VARIANTS are trained as in the regime map, at the rates and decays that it has found
(results/regimes.jsonl). Each is calibrated on its validation rows (16,000, of which 800 are new users'), with
several n0 of the slopes of cohorts (models/serving/calibration.py; inf: none, only offsets), and measured on
24,000 test rows of each cohort. Slopes, log losses and calibration errors are against the true probabilities
of the test rows, so labels of the test add no noise. Calibration error: 15 groups of equal size, by
prediction.
"""

import argparse
import math
from collections.abc import Iterable
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from bench.cohorts.data import ROWS, TestBed, to_test_bed
from bench.cohorts.plan import CELLS, FULL, HIDING_POOLED
from bench.cohorts.study import Study
from bench.cohorts.trial import train
from bench.cohorts.worlds import BASE, NOTHING_SHARED, World
from bench.paired import paired_difference
from bench.results import Results
from bench.tables import print_table
from jobs.workers.synthetic.dials import COHORTS
from models.serving.calibration import SLOPE_SHRINKAGE, fit_calibration

VARIANTS = ("ple", CELLS, "mfh of the paper", HIDING_POOLED)
WORLDS, SEEDS = (BASE, NOTHING_SHARED), (1, 2, 3, 4, 5)
SHRINKAGES = (math.inf, 2000, 1000, SLOPE_SHRINKAGE, 200, 50, 0)
MEASURES = {"log_loss": "log loss", "calibration_error": "calibration error"}
GROUPS = 15
RESULTS = Results("calibration")

Floats = NDArray[np.float64]


def calibrated(name: str, world: World, seed: int) -> dict[str, Any]:
    """Return one training, calibrated in each way, measured by task and cohort."""
    study = Study(FULL)
    tuned = study.tuned(name, ROWS[0])
    bed = to_test_bed(world, ROWS[0], seed)
    trained = train(study.variants[name], bed.data, tuned.learning_rate, seed, tuned.weight_decay)
    cells = measured(trained.logits(bed.data.validation), trained.logits(bed.test), bed)
    print(name, world.name, seed, f"{trained.summary['seconds']} s", flush=True)
    return {**trained.summary, "cells": cells}


def measured(validation: NDArray[Any], test: NDArray[Any], bed: TestBed) -> dict[str, dict[str, Any]]:
    """Return `task|cohort` -> measures of calibrations of these logits, (n, K) each, by n0.

    Beside them `slope` and `slope_error`: of the line that suits the cell's test rows best after a
    calibration without slopes of cohorts, and its standard error, as of as many labels.
    """
    rows = bed.data.validation
    true = bed.test_log.examples.probabilities.reshape(len(bed.test), -1)
    found: dict[str, dict[str, Any]] = {
        f"{task.name}|{cohort}": {what: {} for what in MEASURES}
        for task, cohort in product(bed.data.tasks, COHORTS)
    }
    for n0 in SHRINKAGES:
        calibration = fit_calibration(
            validation,
            rows.labels,
            rows.mask,
            rows.weight,
            rows.user_group,
            bed.data.tasks,
            COHORTS,
            slope_shrinkage=n0,
        )
        logits = calibration.logits(test, bed.test.user_group)
        for (k, task), (c, cohort) in product(enumerate(bed.data.tasks), enumerate(COHORTS)):
            own = bed.test.user_group == c
            cell, z, p = found[f"{task.name}|{cohort}"], logits[own, k], true[own, k]
            cell["log_loss"][str(n0)] = round(float((np.logaddexp(0.0, z) - p * z).mean()), 7)
            cell["calibration_error"][str(n0)] = round(calibration_error(z, p), 7)
            if n0 == math.inf:
                cell["slope"], cell["slope_error"] = best_slope(z, p)
    return found


def calibration_error(z: Floats, p: Floats) -> float:
    """Return the mean distance of predicted and true rates of equal groups, by logits z and truth p, (n,)."""
    order = np.argsort(z, kind="stable")
    surplus = (1 / (1 + np.exp(-z)) - p)[order]
    return float(sum(abs(group.sum()) for group in np.array_split(surplus, GROUPS)) / len(z))


def best_slope(z: Floats, p: Floats) -> tuple[float, float]:
    """Return the likeliest s of sigmoid(s z + d) where labels have probabilities p, (n,), and its error."""
    label, both = np.repeat([1, 0], len(z)), np.concatenate([z, z])
    line = LogisticRegression(C=1e9, tol=1e-8).fit(
        both[:, None], label, sample_weight=np.concatenate([p, 1 - p])
    )
    predicted = line.predict_proba(z[:, None])[:, 1]
    x = np.stack([z, np.ones_like(z)], axis=1)
    information = (x * (predicted * (1 - predicted))[:, None]).T @ x
    return float(line.coef_[0, 0]), float(np.sqrt(np.linalg.inv(information)[0, 0]))


def tables(seeds: Iterable[int]) -> None:
    """Print slopes, then what n0 brings over trainings, then measures before and after."""
    wanted = set(seeds)
    rows = [row for row in RESULTS.all() if row["seed"] in wanted]
    if not rows:
        return
    shown = sorted({row["seed"] for row in rows})
    print(f"seeds {shown}\n")
    _slope_table(rows)
    print()
    _shrinkage_table(rows)
    for what in MEASURES:
        print()
        _before_and_after(rows, what)


def _slope_table(rows: list[dict[str, Any]]) -> None:
    table = []
    for name, task, cohort in _cells(rows):
        cells = [row["cells"][f"{task}|{cohort}"] for row in rows if row["variant"] == name]
        slopes = np.array([cell["slope"] for cell in cells])
        far = sum(abs(cell["slope"] - 1) > 2 * cell["slope_error"] for cell in cells)
        spread = np.sqrt(np.mean((slopes - 1) ** 2))
        error = np.sqrt(np.mean([cell["slope_error"] ** 2 for cell in cells]))
        lowest, highest = slopes.min(), slopes.max()
        shown = [f"{spread:.3f}", f"{error:.3f}", f"{lowest:.2f} .. {highest:.2f}", f"{far} of {len(cells)}"]
        table.append([name, task, cohort, *shown])
    header = ["variant", "task", "cohort", "rms of slope - 1", "error", "slopes", "beyond 2 errors"]
    print_table(header, table)


def _shrinkage_table(rows: list[dict[str, Any]]) -> None:
    """Print log loss against offsets alone, in 1e-4, mean over trainings and tasks, by cohort and n0."""
    table = []
    for cohort in COHORTS:
        gains = []
        for n0 in SHRINKAGES[1:]:
            by_training = {place: _mean(row, "log_loss", str(n0), cohort) for place, row in enumerate(rows)}
            before = {place: _mean(row, "log_loss", "inf", cohort) for place, row in enumerate(rows)}
            gains.append(str(paired_difference(by_training, before)))
        table.append([cohort, *gains])
    print_table(["log loss against offsets alone", *(f"n0 = {n0}" for n0 in SHRINKAGES[1:])], table)


def _before_and_after(rows: list[dict[str, Any]], what: str) -> None:
    """Print a measure with offsets alone and with slopes, mean over tasks, by variant and cohort."""
    table = []
    n0 = str(SLOPE_SHRINKAGE)
    for name, cohort in product(dict.fromkeys(row["variant"] for row in rows), COHORTS):
        of_variant = [row for row in rows if row["variant"] == name]
        before, after = (
            {place: _mean(row, what, key, cohort) for place, row in enumerate(of_variant)}
            for key in ("inf", n0)
        )
        means = [f"{np.mean([*values.values()]):.5f}" for values in (before, after)]
        better = sum(after[place] < before[place] for place in before)
        change = paired_difference(after, before)
        table.append([name, cohort, *means, str(change), f"{better} of {len(before)}"])
    print_table(["variant", "cohort", f"{MEASURES[what]} before", "after", "change", "lower in"], table)


def _mean(row: dict[str, Any], what: str, n0: str, cohort: str) -> float:
    cells = [cell[what][n0] for key, cell in row["cells"].items() if key.endswith(f"|{cohort}")]
    return float(np.mean(cells))


def _cells(rows: list[dict[str, Any]]) -> Iterable[tuple[str, str, str]]:
    for name in dict.fromkeys(row["variant"] for row in rows):
        for cell in rows[0]["cells"]:
            task, cohort = cell.split("|")
            yield name, task, cohort


def main() -> None:
    """Train, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for seed, world, name in product(arguments.seeds, WORLDS, VARIANTS):
        if not arguments.table:
            key = {"variant": name, "world": world.key(), "seed": seed}
            RESULTS.once(key, partial(calibrated, name, world, seed))
    tables(arguments.seeds)


if __name__ == "__main__":
    main()
