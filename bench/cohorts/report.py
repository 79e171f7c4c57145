"""All tables of the regime map, from its results file alone: whatever part of the plan is there."""

from collections.abc import Callable, Sequence

import numpy as np

from bench.cohorts.beside import calibration_table, overfitting_table
from bench.cohorts.outcomes import ByCohort, Outcomes
from bench.cohorts.pairs import pair_tables
from bench.cohorts.questions import question_table
from bench.cohorts.verdicts import control_sentences, map_table
from bench.tables import print_table
from jobs.workers.synthetic.dials import COHORTS


def print_report(outcomes: Outcomes) -> None:
    """Print everything, each part under its title."""
    parts: dict[str, Callable[[Outcomes], None]] = {
        "Distance to the second ceiling": distance_tables,
        "Named pairs: by how much ours is closer, 95 % intervals": pair_tables,
        "Questions of further blocks: by how much ours is closer": question_table,
        "Calibration": calibration_table,
        "New users: AUC of training minus AUC of test": overfitting_table,
        "Controls": lambda outcomes: print("\n".join(control_sentences(outcomes))),
        "Map: closest for new users": map_table,
    }
    for title, part in parts.items():
        print(f"\n## {title}\n")
        part(outcomes)


def distance_tables(outcomes: Outcomes) -> None:
    """Print the mean distance over seeds by cohort, a table per block: rows are worlds, columns variants."""
    for block in outcomes.blocks():
        found = [
            (world, [[*outcomes.distances([block], world, name).values()] for name in block.variants])
            for world in block.worlds
        ]
        rows = [
            [world.name, max(map(len, of_variants)), *map(_means, of_variants)]
            for world, of_variants in found
            if any(of_variants)
        ]
        if rows:
            print(f"{block.name}, {block.rows:,} rows: {' / '.join(COHORTS)}\n")
            print_table(["world", "seeds", *block.variants], rows)
            print()


def _means(distances: Sequence[ByCohort]) -> str:
    if not distances:
        return ""
    return " / ".join(f"{np.mean([d[c] for d in distances]):.4f}"[1:] for c in COHORTS)
