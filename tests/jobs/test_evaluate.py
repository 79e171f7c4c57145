"""Rows of `evaluations` and of `calibration_curves`, from what was measured."""

from datetime import date
from typing import Any

import pytest

from jobs.evaluate import curve_rows, with_users
from jobs.workers.evaluation import MetricCell

D = date(2022, 5, 8)


@pytest.mark.parametrize(
    ("measured", "counted", "users"),
    [  # users of the metric; (users, positive users, negative users) of the cell
        (None, (90, 40, 70), (90, 40, 70)),
        (25, (90, 40, 70), (25, 40, 70)),  # GAUC: users with both classes
        (0, (90, 40, 70), (0, 40, 70)),
        (None, (90, None, None), (90, None, None)),  # a regression
        (None, None, (None, "absent", "absent")),  # an item cohort: users are not counted
    ],
)
def test_a_row_gets_the_users_of_its_cell_and_gauc_keeps_its_own(
    measured: int | None,
    counted: tuple[int | None, ...] | None,
    users: tuple[Any, ...],
) -> None:
    names = ("users", "positive_users", "negative_users")
    of_cell = None if counted is None else dict(zip(names, counted, strict=True))

    row = with_users({"task": "click", "users": measured}, of_cell)

    assert row["task"] == "click"
    assert tuple(row.get(name, "absent") for name in names) == users


def test_a_curve_has_a_row_per_point_of_the_calibration_error_over_all_rows() -> None:
    def cell(metric: str, cohort: str) -> MetricCell:
        curve = ((0.1, 0.2, 30.0), (0.6, 0.5, 10.0))
        return MetricCell("mfh-1", "click", cohort, metric, 0.1, 40, 9, 31, None, None, curve=curve)

    rows = curve_rows([cell("ece", "all"), cell("ece", "user:new"), cell("auc", "all")], D)

    key = {"model_version": "mfh-1", "last_data_date": D, "task": "click"}
    assert rows == [
        key | {"point": 0, "predicted": 0.1, "observed": 0.2, "weight": 30.0},
        key | {"point": 1, "predicted": 0.6, "observed": 0.5, "weight": 10.0},
    ]
