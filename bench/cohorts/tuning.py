"""Learning rates and decays: search until the best lies inside of what was tried."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import LamplighterError

RATE_LIMITS = (1e-5, 1.0)
EMBEDDING_DECAYS = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
"""What a decay of embeddings is taken from, in steps of one."""
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


def best_of_neighbours(name: str, start: Tuned, attempt: Attempt) -> Tuned:
    """Return a rate and a decay of embeddings of which each neighbour that was tried has no lower loss.

    Neighbours are half and twice the rate, the decays before and after in EMBEDDING_DECAYS, and, since the
    best decay falls with the rate, half the rate with the decay after and twice the rate with the one before.
    All six are tried, then those of the best of them, until none is better: fewer trainings than a grid that
    holds the best of both inside.

    Args:
        name: of what is tuned.
        start: where to begin; its loss is not read, its `weight_decay` is kept.
        attempt: tries a rate and decays.

    Raises:
        LamplighterError: there is no best within RATE_LIMITS and EMBEDDING_DECAYS.
    """
    tried: dict[tuple[float, float], Tuned] = {}

    def at(rate: float, decay: float) -> Tuned:
        if (rate, decay) not in tried:
            tried[rate, decay] = attempt(rate, start.weight_decay, decay)
        return tried[rate, decay]

    rate, place = start.learning_rate, EMBEDDING_DECAYS.index(start.embedding_decay or 0.0)
    best = at(rate, EMBEDDING_DECAYS[place])
    while True:
        if not (0 < place < len(EMBEDDING_DECAYS) - 1 and RATE_LIMITS[0] < rate < RATE_LIMITS[1]):
            raise LamplighterError(
                f"{name}: no best learning rate in {RATE_LIMITS} with a decay of embeddings in "
                f"{EMBEDDING_DECAYS}; look at its trainings"
            )
        before, own, after = EMBEDDING_DECAYS[place - 1 : place + 2]
        around = [at(rate / 2, own), at(rate * 2, own), at(rate, before), at(rate, after)]
        around += [at(rate / 2, after), at(rate * 2, before)]
        closest = min(around, key=lambda t: t.validation_loss)
        if closest.validation_loss >= best.validation_loss:
            return best
        best, rate = closest, closest.learning_rate
        place = EMBEDDING_DECAYS.index(closest.embedding_decay or 0.0)


def or_failed(train: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the summary of a training; where its loss is not finite, a validation loss that never wins."""
    try:
        return train()
    except LamplighterError as error:
        return {"validation_loss": FAILED, "error": str(error)}
