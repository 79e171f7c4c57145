"""Learning rates and decays: a grid that grows until its best rate lies inside."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import LamplighterError

RATE_LIMITS = (1e-5, 1.0)
FAILED = 1e9
"""Validation loss of a rate that is too high to train with."""


@dataclass(frozen=True)
class Tuned:
    """One of a grid; without a decay of their own, embeddings have `weight_decay`."""

    learning_rate: float
    weight_decay: float
    validation_loss: float
    embedding_decay: float | None = None


Attempt = Callable[[float, float, float | None], Tuned]
"""Trains with a rate, a weight decay and that of embeddings."""


def best_inside(name: str, grid: Sequence[Tuned], attempt: Attempt) -> Tuned:
    """Return the lowest validation loss; while its rate is the lowest or the highest, half or twice is tried.

    Args:
        name: of what is tuned.
        grid: what has been tried.
        attempt: tries another rate, with the decays of the best.

    Raises:
        LamplighterError: there is no best rate within RATE_LIMITS.
    """
    found = [*grid]
    while True:
        best, rates = min(found, key=lambda t: t.validation_loss), [t.learning_rate for t in found]
        if min(rates) < best.learning_rate < max(rates):
            return best
        beyond = best.learning_rate * (2 if best.learning_rate == max(rates) else 0.5)
        if not RATE_LIMITS[0] < beyond < RATE_LIMITS[1]:
            raise LamplighterError(f"{name}: no best learning rate in {RATE_LIMITS}; look at its trainings")
        found.append(attempt(beyond, best.weight_decay, best.embedding_decay))


def or_failed(train: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the summary of a training; where its loss is not finite, a validation loss that never wins."""
    try:
        return train()
    except LamplighterError as error:
        return {"validation_loss": FAILED, "error": str(error)}
