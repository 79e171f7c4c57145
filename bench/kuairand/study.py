"""Training what the plan asks for: every result is a line of a file, so a run that is cut off resumes."""

from functools import partial
from typing import Any

from bench.cohorts.architectures import VARIANTS
from bench.cohorts.trial import train
from bench.cohorts.tuning import Tuned, best_inside, or_failed
from bench.kuairand.cells import groups_of, to_cells
from bench.kuairand.data import kuairand
from bench.kuairand.plan import NAMES, RATES, RESULTS, SEEDS, TUNING_SEED
from bench.results import Results


def run() -> None:
    """Tune every variant, then train the finals seed by seed."""
    best = {name: tuned(name) for name in NAMES}
    for seed in SEEDS:
        for name in NAMES:
            final(name, seed, best[name].learning_rate)


def tuned(name: str) -> Tuned:
    """Return the best rate of a variant, which lies inside of what was tried."""
    return best_inside(name, [_tried(name, rate, 0.0) for rate in RATES], partial(_tried, name))


def final(name: str, seed: int, rate: float) -> dict[str, Any]:
    """Return one training, measured on the test days."""

    def find() -> dict[str, Any]:
        found = kuairand()
        data, test = found.data, found.test
        trained = train(VARIANTS[name], data, rate, seed)
        logits = trained.logits(test)
        cells = to_cells(logits, test, found.users["test"], data.tasks, groups_of(test, data.cohorts))
        means = {cell: kept["auc"]["value"] for cell, kept in cells.items() if "auc" in kept}
        print(name, seed, means, f"{trained.summary['seconds']} s", flush=True)
        return {**trained.summary, "cells": cells}

    key = {"step": "final", "variant": name, "seed": seed, "learning_rate": rate}
    return Results(RESULTS).once(key, find)


def _tried(name: str, rate: float, decay: float) -> Tuned:
    key = {"step": "tune", "variant": name, "learning_rate": rate, "weight_decay": decay, "seed": TUNING_SEED}

    def find() -> dict[str, Any]:
        summary = or_failed(lambda: train(VARIANTS[name], kuairand().data, rate, TUNING_SEED, decay).summary)
        print("tune", name, rate, summary["validation_loss"], flush=True)
        return summary

    return Tuned(rate, decay, Results(RESULTS).once(key, find)["validation_loss"])
