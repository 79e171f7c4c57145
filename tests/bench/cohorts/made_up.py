"""Results of a study that nobody trained, with differences that are known."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.cohorts.architectures import PARAMETERS
from bench.cohorts.outcomes import Outcomes
from bench.cohorts.plan import Block, Plan
from bench.cohorts.study import Study, ceiling_key, final_key
from bench.cohorts.worlds import World
from bench.results import Results
from jobs.workers.synthetic.dials import COHORTS

TASKS = ("click", "long_view")
CEILING = 0.8
Distance = Callable[[Block, World, int, str], Mapping[str, float]]
"""Cohort -> distance of a final."""


def final_of(distance: Mapping[str, float], gap: float = 0.01, ratio: float = 1.0) -> dict[str, Any]:
    """Return measures of a final; its tasks lie .01 above and below the mean."""
    auc = {c: CEILING - distance[c] for c in COHORTS}
    return {
        "auc": {c: {TASKS[0]: auc[c] - 0.01, TASKS[1]: auc[c] + 0.01} for c in COHORTS},
        "train_auc": {"new": {TASKS[0]: auc["new"] + gap - 0.01, TASKS[1]: auc["new"] + gap + 0.01}},
        "log_loss": {c: dict.fromkeys(TASKS, 0.5 + distance[c]) for c in COHORTS},
        "observed_over_predicted": {c: {TASKS[0]: ratio, TASKS[1]: 1 / ratio} for c in COHORTS},
        "ece": {c: dict.fromkeys(TASKS, 0.02) for c in COHORTS},
    }


def lines(blocks: Iterable[Block], distance: Distance) -> list[dict[str, Any]]:
    """Return all finals and ceilings of some blocks."""
    found: list[dict[str, Any]] = []
    for block in blocks:
        for world, seed in ((world, seed) for world in block.worlds for seed in block.seeds):
            tops = {c: dict.fromkeys(TASKS, CEILING) for c in COHORTS}
            found.append({**ceiling_key(world, block.rows, seed), "auc": {"expected": tops}})
            for name in block.variants:
                key = final_key(world, block.rows, seed, name, PARAMETERS)
                found.append({**key, **final_of(distance(block, world, seed, name))})
    return found


def outcomes_of(plan: Plan, rows: Iterable[dict[str, Any]], path: Path) -> Outcomes:
    """Return outcomes of a plan whose results file, in a folder, holds these lines."""
    file = path / f"{plan.results}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return Outcomes(Study(plan))


def in_folder(folder: Path) -> Callable[[Results, str], None]:
    """Return what makes results files lie in a folder."""

    def start(self: Results, name: str) -> None:
        self.path = folder / f"{name}.jsonl"

    return start
