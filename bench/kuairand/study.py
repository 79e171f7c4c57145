"""Training what the plan asks for: every result is a line of a file, so a run that is cut off resumes."""

import math
from dataclasses import replace
from functools import partial
from typing import Any

from bench.cohorts.architectures import VARIANTS
from bench.cohorts.trial import Trained, train
from bench.cohorts.tuning import Tuned, best_of_neighbours, or_failed
from bench.kuairand.cells import groups_of, to_cells
from bench.kuairand.data import kuairand
from bench.kuairand.plan import NAMES, RESULTS, SEEDS, START, TUNING_SEED
from bench.results import Results


def run() -> None:
    """Tune every variant, then train the finals seed by seed."""
    best = {name: tuned(name) for name in NAMES}
    for seed in SEEDS:
        for name in NAMES:
            final(name, seed, best[name])


def tuned(name: str) -> Tuned:
    """Return the best rate and decay of embeddings of a variant; both lie inside of what was tried."""
    return best_of_neighbours(name, START, partial(_tried, name))


def final(name: str, seed: int, best: Tuned) -> dict[str, Any]:
    """Return one training, measured on the test days."""

    def find() -> dict[str, Any]:
        found = kuairand()
        tasks, test = found.data.tasks, found.test
        trained = _train(name, best, seed)
        logits = trained.logits(test)
        cells = to_cells(logits, test, found.users["test"], tasks, groups_of(test, found.data.cohorts))
        means = {cell: kept["auc"]["value"] for cell, kept in cells.items() if "auc" in kept}
        print(name, seed, means, f"{trained.summary['seconds']} s", flush=True)
        return {**trained.summary, "cells": cells}

    return Results(RESULTS).once({"step": "final", **_key(name, best, seed)}, find)


def _tried(name: str, rate: float, decay: float, of_embeddings: float | None) -> Tuned:
    tried = Tuned(rate, decay, math.nan, of_embeddings)

    def find() -> dict[str, Any]:
        summary = or_failed(lambda: _train(name, tried, TUNING_SEED).summary)
        print("tune", name, rate, decay, of_embeddings, summary["validation_loss"], flush=True)
        return summary

    found = Results(RESULTS).once({"step": "tune", **_key(name, tried, TUNING_SEED)}, find)
    return replace(tried, validation_loss=found["validation_loss"])


def _train(name: str, tuned: Tuned, seed: int) -> Trained:
    variant, rate = VARIANTS[name], tuned.learning_rate
    decay, of_embeddings = tuned.weight_decay, tuned.embedding_decay
    return train(variant, kuairand().data, rate, seed, decay, embedding_decay=of_embeddings)


def _key(name: str, tuned: Tuned, seed: int) -> dict[str, Any]:
    return {
        "variant": name,
        "seed": seed,
        "learning_rate": tuned.learning_rate,
        "weight_decay": tuned.weight_decay,
        "embedding_decay": tuned.embedding_decay,
    }
