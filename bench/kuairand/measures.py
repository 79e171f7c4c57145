"""AUC by cell with intervals by bootstrap over users, for models that were trained several times.

Letters: n rows, K tasks, R bootstrap replicates.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.schema import Task
from models.metrics.binary import CellState
from models.metrics.bootstrap import interval, paired_interval, user_weights
from models.training.reader import Rows

REPLICATES, MIN_CLASS_COUNT = 200, 30

Cells = dict[str, dict[str, Any]]
"""`task|cohort` -> positives, negatives, AUC (null with too few of either), AUC of each replicate."""


def cells_of(
    logits: NDArray[Any],
    rows: Rows,
    users: NDArray[np.int64],
    tasks: tuple[Task, ...],
    cohorts: Mapping[str, NDArray[np.bool_]],
) -> Cells:
    """Measure logits (n, K) in every task and cohort, with the metric states of models/metrics.

    Args:
        logits: of the rows.
        rows: labels, masks, weights.
        users: whose row it is, (n,).
        tasks: binary.
        cohorts: name -> its rows, (n,).
    """
    weights = user_weights(users, REPLICATES)
    found = {}
    for cohort, is_member in cohorts.items():
        for k, task in enumerate(tasks):
            kept = is_member & rows.mask[:, k]
            state = CellState.of(logits[kept, k], rows.labels[kept, k], rows.weight[kept], weights[kept])
            value = state.value("auc", MIN_CLASS_COUNT)
            found[f"{task.name}|{cohort}"] = {
                "positives": state.positives,
                "negatives": state.negatives,
                "auc": value,
                "replicates": [] if value is None else [round(v, 5) for v in state.replicate_values("auc")],
            }
    return found


def by_group(rows: Rows, groups: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Return which rows are of each group: all, and each user cohort."""
    return {
        "all": np.ones(len(rows), dtype=np.bool_),
        **{name: rows.user_group == number for number, name in enumerate(groups)},
    }


def of_common_seeds(rows: Iterable[Mapping[str, Any]], names: Iterable[str]) -> dict[str, list[Cells]]:
    """Return name -> cells of its trainings, for the seeds that all names with a training have.

    Args:
        rows: results, with `name`, seed and cells.
        names: in the order of the tables.
    """
    by_seed: dict[str, dict[int, Cells]] = {name: {} for name in names}
    for row in rows:
        by_seed[row["name"]][row["seed"]] = row["cells"]
    trained = {name: of_seeds for name, of_seeds in by_seed.items() if of_seeds}
    common = set.intersection(*(set(of_seeds) for of_seeds in trained.values())) if trained else set()
    return {name: [of_seeds[seed] for seed in sorted(common)] for name, of_seeds in trained.items() if common}


def mean_of_seeds(trained: list[Cells], cell: str) -> tuple[float | None, NDArray[np.float64]]:
    """Return the AUC of a cell and of each replicate of its users, mean over trainings."""
    values = [cells[cell]["auc"] for cells in trained]
    if any(value is None for value in values):
        return None, np.empty(0)
    return float(np.mean(values)), np.mean([cells[cell]["replicates"] for cells in trained], axis=0)


def with_interval(value: float | None, replicates: NDArray[np.float64]) -> str:
    """Return `.7214 [.7150, .7279]`, or that there are too few rows."""
    found = None if value is None else interval(replicates)
    if value is None or found is None:
        return "too few"
    return f"{value:.4f} [{found[0]:.4f}, {found[1]:.4f}]"


def gain_with_interval(ours: list[Cells], theirs: list[Cells], cell: str) -> str:
    """Return ours minus theirs, paired: the same users drawn in each replicate."""
    (one, of_one), (other, of_other) = mean_of_seeds(ours, cell), mean_of_seeds(theirs, cell)
    found = None if one is None or other is None else paired_interval(of_one, of_other)
    if one is None or other is None or found is None:
        return "too few"
    return f"{one - other:+.4f} [{found[0]:+.4f}, {found[1]:+.4f}]"


def cells_in_order(cells: Cells) -> list[str]:
    """Return the names of the cells, by task."""
    tasks = list(dict.fromkeys(cell.split("|")[0] for cell in cells))
    return sorted(cells, key=lambda cell: tasks.index(cell.split("|")[0]))
