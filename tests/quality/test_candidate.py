"""Tonight's candidate: rows of `models` and of `evaluations` in, which model and which values out."""

from typing import Any

import pytest

from core.schema import Task
from quality.candidate import PrimaryValue, not_measured, primary_values
from tests.quality.measured import RULES

TASKS = (
    Task(name="click", label="is_click = 1", kind="binary"),
    Task(name="like", label="is_like = 1", kind="binary"),
    Task(name="seconds", label="play_seconds", kind="regression"),
)


def row(task: str, metric: str, value: float | None) -> dict[str, Any]:
    """A row of `evaluations` of mfh-1 over all rows."""
    return {
        "model_version": "mfh-1", "baseline_version": "", "cohort": "all", "task": task, "metric": metric,
        "value": value,
    }  # fmt: skip


CLICK_AUC, CLICK_GAUC = row("click", "auc", 0.7), row("click", "gauc", 0.6)
LIKE_AUC, NO_LIKE_AUC = row("like", "auc", 0.8), row("like", "auc", None)  # None: too few of a class
SECONDS_MSE, SECONDS_MAE = row("seconds", "mse", 9.0), row("seconds", "mae", 2.0)


@pytest.mark.parametrize(
    ("tasks", "metric", "rows", "values"),
    [
        (("click",), "auc", [CLICK_AUC, CLICK_GAUC], [("click", "auc", 0.7)]),
        (("click",), "gauc", [CLICK_AUC, CLICK_GAUC], [("click", "gauc", 0.6)]),
        (("seconds",), "auc", [SECONDS_MSE, SECONDS_MAE], [("seconds", "mse", 9.0)]),
        # one value per primary task, in their order; other tasks have none
        (
            ("like", "click"),
            "auc",
            [CLICK_AUC, LIKE_AUC, SECONDS_MSE],
            [("like", "auc", 0.8), ("click", "auc", 0.7)],
        ),
        # without a row, and without a value
        (("click", "like"), "auc", [NO_LIKE_AUC], [("click", "auc", None), ("like", "auc", None)]),
        (("click",), "gauc", [CLICK_AUC], [("click", "gauc", None)]),
        # of another model, of another cohort, a gain over another model
        (("click",), "auc", [CLICK_AUC | {"model_version": "ple-1"}], [("click", "auc", None)]),
        (("click",), "auc", [CLICK_AUC | {"cohort": "user:new"}], [("click", "auc", None)]),
        (("click",), "auc", [CLICK_AUC | {"baseline_version": "ple-1"}], [("click", "auc", None)]),
    ],
)
def test_each_primary_task_has_one_value_of_the_metric_that_decides(
    tasks: tuple[str, ...],
    metric: str,
    rows: list[dict[str, Any]],
    values: list[tuple[str, str, float | None]],
) -> None:
    rules = RULES.model_copy(update={"primary_tasks": tasks, "metric": metric})

    assert primary_values(rows, "mfh-1", TASKS, rules) == tuple(PrimaryValue(*each) for each in values)


def test_what_was_not_measured_is_named() -> None:
    values = [PrimaryValue("click", "gauc", None), PrimaryValue("like", "gauc", 0.0)]

    assert not_measured(values) == ("gauc of click",)  # 0 is a value
