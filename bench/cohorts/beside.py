"""Beside distances: how variants are calibrated, and how far they know new users of training better."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.cohorts.measures import mean_over_tasks
from bench.cohorts.outcomes import Outcomes
from bench.cohorts.plan import DIALS
from bench.cohorts.study import Key
from bench.cohorts.worlds import World
from bench.tables import print_table
from jobs.workers.synthetic.dials import COHORTS

REFERENCE = "ple"


def calibration_table(outcomes: Outcomes) -> None:
    """Print calibration of each variant by cohort, mean over behaviours, worlds and seeds of "one dial".

    Three figures: |log(observed / predicted)|, expected calibration error, and log loss minus PLE's of the
    same world and seed; only where PLE's final is known.
    """
    rows = []
    for name, finals in _by_variant(outcomes).items():
        cells = [
            calibration(final, reference)
            for world, seed, final in finals
            if (reference := _reference(outcomes, world, seed)) is not None
        ]
        if cells:
            shown = [" / ".join(_figures([cell[cohort] for cell in cells])) for cohort in COHORTS]
            rows.append([name, len(cells), *shown])
    heads = [f"{cohort}: abs. log ratio / ece / log loss - {REFERENCE}'s" for cohort in COHORTS]
    print_table(["variant", "worlds x seeds", *heads], rows)


def calibration(final: Key, reference: Key) -> dict[str, tuple[float, float, float]]:
    """Return by cohort the three figures of one final against another of the same data."""
    ratios, errors, losses, losses_there = (
        row[measure]
        for row, measure in (
            (final, "observed_over_predicted"),
            (final, "ece"),
            (final, "log_loss"),
            (reference, "log_loss"),
        )
    )
    return {
        cohort: (
            float(np.mean(np.abs(np.log([*ratios[cohort].values()])))),
            float(np.mean([*errors[cohort].values()])),
            float(np.mean([losses[cohort][task] - there for task, there in losses_there[cohort].items()])),
        )
        for cohort in COHORTS
    }


def overfitting_table(outcomes: Outcomes) -> None:
    """Print AUC of training minus AUC of test for new users ("local overfitting" of the MFH paper).

    Mean over behaviours and seeds, by world of the block "one dial" and by variant.
    """
    finals = _by_variant(outcomes)
    worlds = dict.fromkeys(world for block in outcomes.blocks(DIALS) for world in block.worlds)
    rows = []
    for world in worlds:
        own = [[overfitting(final) for w, _, final in finals[name] if w == world] for name in finals]
        if any(own):
            rows.append([world.name, *(f"{np.mean(gaps):.4f}" if gaps else "" for gaps in own)])
    print_table(["world", *finals], rows)


def overfitting(final: Key) -> float:
    """Return by how much AUC of new users is higher in training, mean over behaviours."""
    return mean_over_tasks(final["train_auc"])["new"] - mean_over_tasks(final["auc"])["new"]


def _by_variant(outcomes: Outcomes) -> dict[str, list[tuple[World, int, Key]]]:
    found: dict[str, list[tuple[World, int, Key]]] = {}
    for name, world, seed, final in _finals(outcomes):
        found.setdefault(name, []).append((world, seed, final))
    return found


def _finals(outcomes: Outcomes) -> Iterator[tuple[str, World, int, Key]]:
    for block in outcomes.blocks(DIALS):
        for name in block.variants:
            for world in block.worlds:
                for seed in block.seeds:
                    if final := outcomes.final(block, world, seed, name):
                        yield name, world, seed, final


def _reference(outcomes: Outcomes, world: World, seed: int) -> Key | None:
    (block,) = outcomes.blocks(DIALS)
    return outcomes.final(block, world, seed, REFERENCE)


def _figures(cells: list[Any]) -> list[str]:
    ratio, error, loss = np.mean(cells, axis=0)
    return [f"{ratio:.3f}", f"{error:.4f}", f"{loss:+.5f}"]
