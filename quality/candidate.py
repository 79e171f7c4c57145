"""Tonight's candidate: which trained model it is, and what is known of it beside its cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.schema import Promotion, Task


@dataclass(frozen=True)
class Candidate:
    """A trained model that may become champion.

    Attributes:
        model_version: its name.
        suite_passed: whether its evaluations passed their suite.
        best_epoch: the epoch whose weights were kept, from 1.
        max_epochs: epochs that training was allowed.
        not_measured: "METRIC of TASK" of each primary task without a value over all rows.
    """

    model_version: str
    suite_passed: bool
    best_epoch: int
    max_epochs: int
    not_measured: tuple[str, ...] = ()


@dataclass(frozen=True)
class PrimaryValue:
    """The metric that decides of a primary task, over all rows; None: not measured, or too few of a class."""

    task: str
    metric: str
    value: float | None


def primary_values(
    rows: Sequence[Mapping[str, Any]], version: str, tasks: Sequence[Task], rules: Promotion
) -> tuple[PrimaryValue, ...]:
    """Return the candidate's value of each primary task, one per task, measured or not.

    Args:
        rows: of `evaluations`, of one data date.
        version: of the candidate.
        tasks: name and kind.
        rules: primary tasks, and the metric of each kind.
    """
    found = {
        (row["task"], row["metric"]): row["value"]
        for row in rows
        if (row["model_version"], row["cohort"], row["baseline_version"]) == (version, "all", "")
    }
    kinds = {task.name: task.kind for task in tasks}
    metrics = {task: rules.metric_of(kinds[task]) for task in rules.primary_tasks}
    return tuple(PrimaryValue(task, metric, found.get((task, metric))) for task, metric in metrics.items())


def not_measured(values: Sequence[PrimaryValue]) -> tuple[str, ...]:
    """Return "METRIC of TASK" of each primary task without a value."""
    return tuple(f"{each.metric} of {each.task}" for each in values if each.value is None)
