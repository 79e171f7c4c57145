"""Rows of `evaluations` become the cells that a decision is made on."""

from typing import Any

import numpy as np
import pytest

from core.load import load_config
from core.schema import Config, Task
from jobs.tables.evaluations import cells_of

TASKS = (
    Task(name="click", label="is_click = 1", kind="binary"),
    Task(name="seconds", label="play_seconds", kind="regression"),
)


@pytest.fixture(scope="module")
def config() -> Config:
    found = load_config()
    promotion = found.promotion.model_copy(update={"primary_tasks": ("click", "seconds")})
    return found.model_copy(update={"tasks": TASKS, "promotion": promotion})


def row(model: str, task: str, cohort: str, metric: str, value: float = 0.7, **more: Any) -> dict[str, Any]:
    names = {"model_version": model, "task": task, "cohort": cohort, "metric": metric, "value": value}
    users = {"users": 90, "positive_users": 40, "negative_users": 70}
    return names | users | {"baseline_version": "", "replicates": [0.6, 0.8]} | more


def cell_of(rows: list[dict[str, Any]], config: Config, task: str = "click", cohort: str = "user:new") -> Any:
    (found,) = [c for c in cells_of(rows, "mfh-1", "ple-1", config) if (c.task, c.cohort) == (task, cohort)]
    return found


def test_a_cell_holds_all_models_on_the_metric_of_its_task(config: Config) -> None:
    rows = [
        row("mfh-1", "click", "user:new", "auc", 0.72),
        row("mfh-1", "click", "user:new", "logloss", 0.5),
        row("ple-1", "click", "user:new", "auc", 0.71),
        row("popularity", "click", "user:new", "auc", 0.6),
        row("group_mean", "click", "user:new", "auc", 0.62),
    ]

    found = cell_of(rows, config)

    assert (found.metric, found.candidate.value, found.champion.value) == ("auc", 0.72, 0.71)
    assert {name: each.value for name, each in found.baselines.items()} == {
        "popularity": 0.6,
        "group_mean": 0.62,
    }
    assert np.array_equal(found.candidate.replicates, [0.6, 0.8])
    assert (found.users, found.users_by_class, found.fewest_users) == (90, (40, 70), 40)


def test_a_regression_counts_its_users_and_has_no_classes(config: Config) -> None:
    nobody = {"positive_users": None, "negative_users": None}
    rows = [row("mfh-1", "seconds", "user:new", "mse", 12.0, **nobody)]

    found = cell_of(rows, config, "seconds")

    assert (found.metric, found.fewest_users, found.candidate.value) == ("mse", 90, 12.0)


def test_gauc_counts_the_users_that_it_is_made_of(config: Config) -> None:
    by_gauc = config.model_copy(update={"promotion": config.promotion.model_copy(update={"metric": "gauc"})})

    found = cell_of([row("mfh-1", "click", "user:new", "gauc", users=25)], by_gauc)

    assert (found.metric, found.fewest_users, found.users_by_class) == ("gauc", 25, None)


def test_gains_over_another_model_are_no_values_of_a_model(config: Config) -> None:
    gain = row("mfh-1", "click", "user:new", "auc", 0.01, baseline_version="ple-1")

    assert cell_of([gain], config).candidate.value is None


def test_every_primary_task_has_a_cell_per_cohort_with_or_without_rows(config: Config) -> None:
    found = cells_of([row("mfh-1", "click", "user:high", "auc")], "mfh-1", None, config)

    assert [(cell.task, cell.cohort) for cell in found] == [
        (task, f"user:{cohort}") for task in ("click", "seconds") for cohort in ("new", "low", "high")
    ]
    assert [cell.fewest_users for cell in found] == [0, 0, 40, 0, 0, 0]
    assert {cell.champion for cell in found} == {None}
