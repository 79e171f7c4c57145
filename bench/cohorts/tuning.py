"""Learning rates: a grid that grows until its best lies inside."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import LamplighterError

RATE_LIMITS = (1e-5, 1.0)
FAILED = 1e9
"""Validation loss of a rate that is too high to train with."""


@dataclass(frozen=True)
class Tuned:
    """The best of a grid."""

    learning_rate: float
    weight_decay: float
    validation_loss: float


def best_inside(name: str, grid: Sequence[Tuned], attempt: Callable[[float, float], Tuned]) -> Tuned:
    """Return the lowest validation loss; while its rate is the lowest or the highest, half or twice is tried.

    Args:
        name: of what is tuned.
        grid: what has been tried.
        attempt: trains with a rate and a weight decay.

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
        found.append(attempt(beyond, best.weight_decay))


def or_failed(train: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the summary of a training; where its loss is not finite, a validation loss that never wins."""
    try:
        return train()
    except LamplighterError as error:
        return {"validation_loss": FAILED, "error": str(error)}
