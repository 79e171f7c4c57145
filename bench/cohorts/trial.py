"""One training of a variant on one data set."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.cohorts.architectures import PARAMETERS, Variant, matched_width, to_model
from bench.fit import Dataset, fit, predict
from models.model import MultiTaskModel
from models.training.reader import Rows


@dataclass(frozen=True)
class Trained:
    """A variant after its training.

    Attributes:
        model: with the weights of its best epoch.
        summary: learning_rate, weight_decay, embedding_decay, width, parameters, epochs, validation_loss,
            seconds.
    """

    model: MultiTaskModel
    summary: dict[str, Any]

    def logits(self, rows: Rows) -> NDArray[np.float32]:
        """Return the logits of rows, (n, K)."""
        return predict(self.model, rows)


def train(
    variant: Variant,
    data: Dataset,
    rate: float,
    seed: int,
    weight_decay: float = 0.0,
    parameters: int = PARAMETERS,
    embedding_decay: float | None = None,
) -> Trained:
    """Train a variant with about so many parameters of trunk and towers."""
    width, found = matched_width(variant, data.encoder, data.tasks, data.cohorts, parameters)
    model = to_model(variant, width, rate, weight_decay, embedding_decay)
    trained = fit(model, data, seed, variant.build)
    return Trained(
        trained.model,
        {
            "learning_rate": rate,
            "weight_decay": weight_decay,
            "embedding_decay": embedding_decay,
            "width": width,
            "parameters": found,
            "epochs": trained.epochs,
            "validation_loss": trained.validation_loss,
            "seconds": trained.seconds,
        },
    )


def rows_of(rows: Rows, group: int) -> Rows:
    """Return the rows of one user cohort, by its place."""
    return rows.take(np.flatnonzero(rows.user_group == group))
