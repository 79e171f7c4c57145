"""One training of a variant on one data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.cohorts.architectures import PARAMETERS, Variant, matched_width, to_model
from bench.fit import Dataset, Fit, fit, predict
from models.training.reader import Rows


@dataclass(frozen=True)
class Trained:
    """A variant after its training: one model, or one per cohort.

    Attributes:
        fits: of its models.
        summary: learning_rate, weight_decay, width, parameters, epochs, validation_loss, seconds.
    """

    fits: Sequence[Fit]
    summary: dict[str, Any]

    def logits(self, rows: Rows, tasks: int) -> NDArray[np.float32]:
        """Return the logits of rows, (n, K)."""
        if len(self.fits) == 1:
            return predict(self.fits[0].model, rows)
        logits = np.empty((len(rows), tasks), dtype=np.float32)
        for group, found in enumerate(self.fits):
            logits[rows.user_group == group] = predict(found.model, rows_of(rows, group))
        return logits


def train(
    variant: Variant,
    data: Dataset,
    rate: float,
    seed: int,
    weight_decay: float = 0.0,
    parameters: int = PARAMETERS,
) -> Trained:
    """Train a variant whose models have about so many parameters of trunk and towers together."""
    width, found = matched_width(variant, data.encoder, data.tasks, data.cohorts, parameters)
    model = to_model(variant, width, rate, weight_decay)
    if variant.models == 1:
        fits = [fit(model, data, seed, variant.build)]
    else:
        fits = [fit(model, _of_group(data, group), seed, variant.build) for group in range(variant.models)]
    return Trained(
        fits,
        {
            "learning_rate": rate,
            "weight_decay": weight_decay,
            "width": width,
            "parameters": found * variant.models,
            "epochs": sum(each.epochs for each in fits),
            "validation_loss": _validation_loss(fits, data),
            "seconds": round(sum(each.seconds for each in fits), 1),
        },
    )


def run(
    variant: Variant, data: Dataset, test: Rows, rate: float, seed: int
) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """Train; return how it went (size, epochs, validation loss) and the logits of the test rows, (n, K)."""
    trained = train(variant, data, rate, seed)
    return trained.summary, trained.logits(test, len(data.tasks))


def rows_of(rows: Rows, group: int) -> Rows:
    """Return the rows of one user cohort, by its place."""
    return rows.take(np.flatnonzero(rows.user_group == group))


def _validation_loss(fits: list[Fit], data: Dataset) -> float:
    """Return the loss of all validation rows; with one model per cohort, their mean weighted by rows."""
    if len(fits) == 1:
        return fits[0].validation_loss
    rows = np.bincount(data.validation.user_group, minlength=len(fits))
    return float(np.average([found.validation_loss for found in fits], weights=rows))


def _of_group(data: Dataset, group: int) -> Dataset:
    return Dataset(
        data.encoder, data.tasks, data.cohorts, rows_of(data.train, group), rows_of(data.validation, group)
    )
