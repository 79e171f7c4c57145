"""Two rules of promotion on the same cells: today's, and the one that it replaced."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.load import load_config
from core.schema import Promotion
from models.metrics.bootstrap import interval
from quality.candidate import Candidate
from quality.gains import Measured, cell_gain
from quality.promotion import Cell, decide
from quality.served import Baseline

REPLICATES = 400


@dataclass(frozen=True)
class Outcome:
    """The decisions of both rules on one pair, and why the new one kept the champion where it did.

    Attributes:
        old: promoted by the rule until November 2026.
        old_veto: a cell's interval lay wholly below zero.
        new: promoted by quality/promotion.py.
        mean_is_above: whether the interval of the mean gain lies above the margin.
        worse, undecided: cells of this status.
        gain: mean over cells, weighted by precision.
        user_std: of the mean gain, over users alone.
    """

    old: bool
    old_veto: bool
    new: bool
    mean_is_above: bool
    worse: int
    undecided: int
    gain: float
    user_std: float


def rules_with(task_seed_std: Mapping[str, float]) -> Promotion:
    """Return the configured rules with other standard deviations over seeds of a task's gain in AUC."""
    stds = {task: {"auc": std} for task, std in task_seed_std.items()}
    return load_config().promotion.model_copy(update={"task_seed_std": stds})


def cells_with(gains: Mapping[str, Sequence[float]]) -> list[Cell]:
    """Return cells of given gains, whose replicates are uncorrelated between cells.

    Args:
        gains: "TASK of COHORT" -> the gain over the champion, and its standard error over users.
    """
    draws = np.random.default_rng(0).standard_normal((REPLICATES, len(gains)))
    noise = np.linalg.qr(draws - draws.mean(axis=0))[0] * np.sqrt(REPLICATES - 1)
    level, low = Measured(0.7, np.full(REPLICATES, 0.7)), Measured(0.5, np.full(REPLICATES, 0.5))
    found = []
    for number, (name, (gain, std)) in enumerate(gains.items()):
        task, cohort = name.split(" of ")
        candidate = Measured(0.7 + gain, 0.7 + gain + std * noise[:, number])
        rivals: dict[Baseline, Measured] = {"popularity": low, "group_mean": low}
        found.append(Cell(task, cohort, "auc", 10_000, None, candidate, level, rivals))
    return found


def outcome(cells: Sequence[Cell], rules: Promotion) -> Outcome:
    """Return the decisions of both rules on a candidate whose suite passes."""
    decision = decide(Candidate("candidate", True, 1, 2), "champion", cells, rules)
    old, old_veto = old_rule(cells)
    comparison = decision.champion_comparison
    assert comparison is not None
    assert comparison.gain is not None
    status = [cell.status for cell in decision.cells]
    stds = [rules.seed_std_of(cell.task, cell.metric) for cell in decision.cells]
    seed_std = sum(cell.weight * std for cell, std in zip(decision.cells, stds, strict=True))
    return Outcome(
        old=old,
        old_veto=old_veto,
        new=decision.promoted,
        mean_is_above=comparison.gain.low > comparison.margin,
        worse=status.count("worse"),
        undecided=status.count("undecided"),
        gain=comparison.gain.value,
        user_std=float(np.sqrt(max(comparison.gain.std**2 - seed_std**2, 0.0))),
    )


def old_rule(cells: Sequence[Cell]) -> tuple[bool, bool]:
    """Return whether the old rule promotes, and whether a cell stood against it.

    It promoted where the plain mean of the cells' gains was above zero and no cell's 95 % percentile
    interval lay wholly below zero; cells with fewer than 30 rows of a class did not count.
    """
    gains = [
        cell_gain(cell.metric, cell.candidate, cell.champion) for cell in cells if cell.champion is not None
    ]
    known = [gain for gain in gains if gain is not None]
    bounds = [interval(gain.replicates) for gain in known]
    veto = any(found is not None and found[1] < 0 for found in bounds)
    return float(np.mean([gain.value for gain in known])) > 0 and not veto, veto
