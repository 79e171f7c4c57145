"""All tables of the regime map, from its results file alone: whatever part of the plan is there."""

from collections.abc import Callable

import numpy as np

from bench.cohorts.beside import calibration_table, overfitting_table
from bench.cohorts.outcomes import Outcomes
from bench.cohorts.pairs import pair_tables
from bench.cohorts.verdicts import control_sentences, map_table
from bench.tables import print_table
from jobs.workers.synthetic.dials import COHORTS


def print_report(outcomes: Outcomes) -> None:
    """Print everything, each part under its title."""
    parts: dict[str, Callable[[Outcomes], None]] = {
        "Distance to the second ceiling": distance_table,
        "Named pairs: by how much ours is closer, 95 % intervals": pair_tables,
        "Calibration": calibration_table,
        "New users: AUC of training minus AUC of test": overfitting_table,
        "Controls": lambda outcomes: print("\n".join(control_sentences(outcomes))),
        "Map: closest for new users": map_table,
    }
    for title, part in parts.items():
        print(f"\n## {title}\n")
        part(outcomes)


def distance_table(outcomes: Outcomes) -> None:
    """Print the mean distance over seeds by cohort, one row per block, world and variant."""
    rows = []
    for block in outcomes.blocks():
        for world, name in ((world, name) for world in block.worlds for name in block.variants):
            found = outcomes.distances([block], world, name).values()
            if found:
                means = [f"{np.mean([d[c] for d in found]):.4f}" for c in COHORTS]
                rows.append([block.name, world.name, f"{block.rows:,}", name, len(found), *means])
    print_table(["block", "world", "rows", "variant", "seeds", *COHORTS], rows)
