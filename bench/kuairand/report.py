"""All tables of the comparison on KuaiRand-Pure, from its results file alone: whatever part of it is there.

Letters: S seeds, R draws of users, F comparisons.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bench.cohorts.intervals import Compared
from bench.kuairand.cells import MEASURES, Cells, Measure, values_of
from bench.kuairand.crossed import compare_crossed
from bench.kuairand.plan import FAMILY, NAMES, PAIRS
from bench.tables import print_table
from jobs.workers.synthetic.hashing import Floats

Trained = Mapping[str, Sequence[Cells]]
"""Variant -> cells of its trainings, the same seeds of all variants."""
Comparison = tuple[str, str, str]
"""(ours, theirs, cell)."""
TITLES: dict[Measure, str] = {"auc": "AUC", "log_loss": "log loss"}


def print_report(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print everything, each part under its title; only seeds that all variants present have."""
    trained = of_common_seeds(row for row in rows if row["step"] == "final")
    seeds = len(next(iter(trained.values()))) if trained else 0
    print(f"{seeds} seeds that all of {len(trained)} variants have")
    for measure in MEASURES if seeds else ():
        print(f"\n## {TITLES[measure]}, mean over seeds\n")
        level_table(trained, measure)
    for measure in MEASURES if seeds > 1 else ():
        print(f"\n## Gain of ours in {TITLES[measure]}, 95 % intervals\n")
        pair_table(trained, measure, is_in_family=True)
        print("\nBeside, not corrected for their number:\n")
        pair_table(trained, measure, is_in_family=False)


def of_common_seeds(finals: Iterable[Mapping[str, Any]]) -> Trained:
    """Return the cells of finals by variant, of the seeds that all variants present have."""
    by_seed: dict[str, dict[int, Cells]] = {name: {} for name in NAMES}
    for row in finals:
        by_seed[row["variant"]][row["seed"]] = row["cells"]
    trained = {name: of_seeds for name, of_seeds in by_seed.items() if of_seeds}
    common = set.intersection(*(set(of_seeds) for of_seeds in trained.values())) if trained else set()
    return {name: [of_seeds[seed] for seed in sorted(common)] for name, of_seeds in trained.items() if common}


def level_table(trained: Trained, measure: Measure) -> None:
    """Print the mean over seeds of each variant by cell."""
    first = next(iter(trained.values()))[0]
    rows = []
    for cell in first:
        of_variants = [[values_of(cells, cell, measure) for cells in each] for each in trained.values()]
        shown = [_mean([v for v in values if v is not None]) for values in of_variants]
        rows.append([cell.replace("|", ", "), f"{first[cell]['positives']:,}", *shown])
    print_table(["cell", "positives", *trained], rows)


def pair_table(trained: Trained, measure: Measure, is_in_family: bool) -> None:
    """Print the gains of the named pairs, in cells of the family or in all others."""
    corrected = ["all at once", "adjusted p"] if is_in_family else []
    rows = []
    for (ours, theirs, cell), one in compared(trained, measure, is_in_family).items():
        further = [one.together, f"{one.p:.4f}"] if is_in_family else []
        rows.append([ours, theirs, *cell.split("|"), one.alone, *further, f"{one.closer} of {one.pairs}"])
    print_table(["ours", "theirs", "task", "of", "better by", *corrected, "better in seeds"], rows)


def compared(trained: Trained, measure: Measure, is_in_family: bool) -> dict[Comparison, Compared]:
    """Return the gains of the named pairs in the cells of the family, as one family, or in all others."""
    found: dict[Comparison, Floats] = {}
    for ours, theirs in PAIRS:
        if {ours, theirs} <= trained.keys():
            for cell in trained[ours][0]:
                if (cell.split("|")[1] in FAMILY) == is_in_family:
                    gains = _gains(trained[ours], trained[theirs], cell, measure)
                    found |= {} if gains is None else {(ours, theirs, cell): gains}
    if not found:
        return {}
    return dict(zip(found, compare_crossed(np.stack([*found.values()], axis=2)), strict=True))


def _gains(ours: Sequence[Cells], theirs: Sequence[Cells], cell: str, measure: Measure) -> Floats | None:
    """Return by how much ours is better, (S, 1 + R); None where a cell has too few rows."""
    better = {"auc": 1.0, "log_loss": -1.0}[measure]
    found: list[Floats] = []
    for one, other in zip(ours, theirs, strict=True):
        mine, its = values_of(one, cell, measure), values_of(other, cell, measure)
        if mine is None or its is None:
            return None
        found.append(better * (mine - its))
    return np.stack(found)


def _mean(values: Sequence[Floats]) -> str:
    return f"{np.mean([each[0] for each in values]):.4f}" if values else "too few"
