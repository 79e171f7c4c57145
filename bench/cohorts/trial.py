"""One training of a variant on one data set, and how it ranks each cohort."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from bench.cohorts.architectures import Variant, matched_width, to_model
from bench.fit import Dataset, Fit, fit, predict
from core.schema import Task
from jobs.workers.synthetic.truth import COHORTS
from models.training.reader import Rows

AucByCell = dict[str, dict[str, float]]
"""Cohort -> task -> AUC."""


def run(
    variant: Variant, data: Dataset, test: Rows, rate: float, seed: int
) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """Train; return how it went (size, epochs, validation loss) and the logits of the test rows, (n, K)."""
    width, parameters = matched_width(variant, data.encoder, data.tasks, data.cohorts)
    model = to_model(variant, width, rate)
    if variant.models == 1:
        fits = [fit(model, data, seed)]
        logits = predict(fits[0].model, test)
    else:
        logits = np.empty((len(test), len(data.tasks)), dtype=np.float32)
        fits = []
        for group in range(len(data.cohorts["user_cohort"])):
            fits.append(fit(model, _of_group(data, group), seed))
            logits[test.user_group == group] = predict(fits[-1].model, _rows_of(test, group))
    result = {
        "learning_rate": rate,
        "width": width,
        "parameters": parameters * variant.models,
        "epochs": sum(found.epochs for found in fits),
        "validation_loss": _validation_loss(fits, data),
        "seconds": round(sum(found.seconds for found in fits), 1),
    }
    return result, logits


def auc_by_cell(scores: NDArray[Any], rows: Rows, tasks: tuple[Task, ...]) -> AucByCell:
    """Return the rank AUC of each task in each cohort."""
    found: AucByCell = {}
    for number, group in enumerate(COHORTS):
        own = rows.user_group == number
        found[group] = {
            task.name: float(roc_auc_score(rows.labels[own, k] > 0.5, scores[own, k]))
            for k, task in enumerate(tasks)
        }
    return found


def _validation_loss(fits: list[Fit], data: Dataset) -> float:
    """Return the loss of all validation rows; with one model per cohort, their mean weighted by rows."""
    if len(fits) == 1:
        return fits[0].validation_loss
    rows = np.bincount(data.validation.user_group, minlength=len(fits))
    return float(np.average([found.validation_loss for found in fits], weights=rows))


def _of_group(data: Dataset, group: int) -> Dataset:
    return Dataset(
        data.encoder, data.tasks, data.cohorts, _rows_of(data.train, group), _rows_of(data.validation, group)
    )


def _rows_of(rows: Rows, group: int) -> Rows:
    return rows.take(np.flatnonzero(rows.user_group == group))


def mean_over_tasks(auc: AucByCell) -> Mapping[str, float]:
    """Return cohort -> mean AUC of its tasks."""
    return {cohort: float(np.mean([*by_task.values()])) for cohort, by_task in auc.items()}
