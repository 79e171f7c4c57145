"""How scores rank each cohort, and how well they are calibrated, on rows of known sample spaces."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from core.schema import Task
from jobs.workers.synthetic.dials import COHORTS
from models.metrics.binary import CellState, Metric
from models.training.reader import Rows

ByCell = dict[str, dict[str, float]]
"""Cohort -> task -> figure."""
CALIBRATION: tuple[Metric, ...] = ("log_loss", "observed_over_predicted", "ece")


def auc_by_cell(
    scores: NDArray[Any], rows: Rows, tasks: Sequence[Task], cohorts: Sequence[str] = COHORTS
) -> ByCell:
    """Return the rank AUC of each task in some cohorts, over the rows of its sample space."""
    return {
        group: {
            task.name: float(roc_auc_score(rows.labels[own, k] > 0.5, scores[own, k]))
            for k, task in enumerate(tasks)
            for own in [_cell(rows, COHORTS.index(group), k)]
        }
        for group in cohorts
    }


def calibration_by_cell(logits: NDArray[Any], rows: Rows, tasks: Sequence[Task]) -> dict[str, ByCell]:
    """Return metric -> cohort -> task -> log loss, observed / predicted, expected calibration error."""
    found: dict[str, ByCell] = {metric: {group: {} for group in COHORTS} for metric in CALIBRATION}
    for number, group in enumerate(COHORTS):
        for k, task in enumerate(tasks):
            own = _cell(rows, number, k)
            no_replicates = np.empty((int(own.sum()), 0), dtype=np.uint8)
            state = CellState.of(logits[own, k], rows.labels[own, k], rows.weight[own], no_replicates)
            for metric in CALIBRATION:
                value = state.value(metric, min_class_count=1)
                found[metric][group][task.name] = float("nan") if value is None else round(value, 5)
    return found


def mean_over_tasks(figures: ByCell) -> Mapping[str, float]:
    """Return cohort -> mean of its tasks."""
    return {cohort: float(np.mean([*by_task.values()])) for cohort, by_task in figures.items()}


def rounded(figures: ByCell, digits: int = 6) -> ByCell:
    """Return figures with fewer digits: a line of results stays short."""
    return {group: {task: round(v, digits) for task, v in cell.items()} for group, cell in figures.items()}


def _cell(rows: Rows, group: int, task: int) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (rows.user_group == group) & rows.mask[:, task]
    return found
