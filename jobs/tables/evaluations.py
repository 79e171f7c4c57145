"""Rows of the table `evaluations` as the cells that a decision is made on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.schema import Config
from quality.gains import Measured, Metric
from quality.promotion import Cell
from quality.served import BASELINES

NOT_MEASURED = Measured(None, np.array([]))
NO_ROW: Mapping[str, Any] = {"users": 0, "positive_users": None, "negative_users": None}


def cells_of(
    rows: Sequence[Mapping[str, Any]], candidate: str, champion: str | None, config: Config
) -> list[Cell]:
    """Return the cells of primary tasks x user cohorts; one without rows has no users and no value.

    Args:
        rows: of `evaluations`, of one data date.
        candidate: its version.
        champion: the version that it has to beat; None: there is none.
        config: its promotion, tasks and user cohorts.
    """
    found = {
        (row["model_version"], row["task"], row["cohort"], row["metric"]): row
        for row in rows
        if not row["baseline_version"]
    }
    kinds = {task.name: task.kind for task in config.tasks}

    def cell(task: str, cohort: str) -> Cell:
        metric: Metric = config.promotion.metric_of(kinds[task])

        def measured(version: str | None) -> Measured:
            row = found.get((version, task, cohort, metric))
            return NOT_MEASURED if row is None else Measured(row["value"], np.array(row["replicates"] or ()))

        own = found.get((candidate, task, cohort, metric), NO_ROW)
        by_class = (own["positive_users"], own["negative_users"])
        return Cell(
            task=task,
            cohort=cohort,
            metric=metric,
            users=own["users"] or 0,
            users_by_class=None if metric != "auc" or None in by_class else by_class,
            candidate=measured(candidate),
            champion=None if champion is None else measured(champion),
            baselines={name: measured(name) for name in BASELINES},
        )

    cohorts = [f"user:{name}" for name in config.cohorts.user.names]
    return [cell(task, cohort) for task in config.promotion.primary_tasks for cohort in cohorts]
