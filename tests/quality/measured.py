"""Cells with the gain and the standard error that a test asks for, to the last digit."""

import numpy as np

from core.schema import Promotion
from quality.candidate import Candidate
from quality.gains import Floats, Measured, Metric
from quality.promotion import Cell

REPLICATES = 400
CHAMPION = 0.7

METRICS: tuple[Metric, ...] = ("auc", "gauc", "mse", "mae")
RULES = Promotion(
    primary_tasks=("click", "like"),
    metric="auc",
    regression_metric="mse",
    margin=dict.fromkeys(METRICS, 0.001),
    cell_margin=dict.fromkeys(METRICS, 0.01),
    min_users=30,
    seed_std=dict.fromkeys(METRICS, 0.0),
)
SOUND = Candidate("mfh-1", suite_passed=True, best_epoch=3, max_epochs=8)


def noise(number: int) -> Floats:
    """Replicates of mean 0 and variance 1, (R,), uncorrelated with those of every other number up to 20."""
    return _NOISE[:, number]


def constant(value: float | None) -> Measured:
    return Measured(value, np.full(REPLICATES, np.nan if value is None else value))


def cell(
    gain: float,
    std: float,
    *,
    number: int = 0,
    task: str = "click",
    cohort: str = "user:new",
    metric: Metric = "auc",
    users: tuple[int, int] = (1000, 1000),
    popularity: float | None = 0.6,
    group_mean: float | None = 0.6,
    has_champion: bool = True,
) -> Cell:
    """A candidate of AUC .7 + gain against a champion of .7.

    Args:
        gain: of the candidate.
        std: standard error of it over users.
        number: cells of the same number vary together, others do not.
        users: with a positive, and with a negative.
        popularity, group_mean: what the baselines have.
    """
    candidate = Measured(CHAMPION + gain, CHAMPION + gain + std * noise(number))
    return Cell(
        task,
        cohort,
        metric,
        sum(users),
        users,
        candidate,
        constant(CHAMPION) if has_champion else None,
        {"popularity": constant(popularity), "group_mean": constant(group_mean)},
    )


def _uncorrelated() -> Floats:
    draws = np.random.default_rng(0).standard_normal((REPLICATES, 20))
    columns, _ = np.linalg.qr(draws - draws.mean(axis=0))
    return np.asarray(columns * np.sqrt(REPLICATES - 1))


_NOISE = _uncorrelated()
