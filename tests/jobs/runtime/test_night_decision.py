"""What a night's page shows of training: rows of tables in, values of the report out."""

from datetime import date
from typing import Any, cast

import pytest

from jobs.runtime.night_decision import calibration_of, cells_of, decision_of, gates_of, warnings_of
from jobs.runtime.run import Run
from quality.report.model import Decision
from tests.features.small import small_config

D = date(2022, 5, 8)
DECISION = Decision("mfh-1", "ple-1", "mfh-1", True, ("mean gain +0.020",), (), ())


class Night:
    """A run of which only the small tables of one data date are known."""

    data_date = D

    def __init__(self, **tables: list[dict[str, Any]]) -> None:
        self.tables, self.config = tables, small_config()

    def rows(self, table: str, **key: Any) -> list[dict[str, Any]]:
        assert key in ({"data_date": D}, {"last_data_date": D})
        return self.tables[table]


def night(**tables: list[dict[str, Any]]) -> Run:
    return cast(Run, Night(**tables))


def promotion(number: int, candidate: str) -> dict[str, Any]:
    return {
        "decision_no": number, "candidate": candidate, "champion_before": "ple-1", "champion_after": "ple-1",
        "promoted": False, "reasons": ["why"], "warnings": ["odd"],
    }  # fmt: skip


def cell(number: int, task: str, cohort: str) -> dict[str, Any]:
    return {
        "decision_no": number, "task": task, "cohort": cohort, "metric": "auc", "status": "worse",
        "gain": -0.02, "low": -0.03, "high": -0.01, "weight": 0.5, "users": 40,
    }  # fmt: skip


def test_a_night_without_training_has_no_decision() -> None:
    assert decision_of(night(promotions=[])) is None


def test_the_newest_decision_of_the_night_is_shown_with_its_own_cells_in_the_order_of_tasks() -> None:
    found = decision_of(
        night(
            promotions=[promotion(2, "mfh-1"), promotion(1, "ple-2")],
            promotion_cells=[
                cell(2, "play", "user:new"),
                cell(2, "click", "user:new"),
                cell(2, "click", "user:high"),
                cell(1, "click", "user:low"),  # of the other decision
            ],
        )
    )

    assert found is not None
    assert (found.candidate, found.reasons, found.warnings) == ("mfh-1", ("why",), ("odd",))
    assert [(each.task, each.cohort) for each in found.cells] == [
        ("click", "user:high"), ("click", "user:new"), ("play", "user:new")
    ]  # fmt: skip


def evaluation(version: str, metric: str = "auc", baseline: str = "", task: str = "click") -> dict[str, Any]:
    return {
        "model_version": version, "baseline_version": baseline, "task": task, "cohort": "all",
        "metric": metric, "value": 0.7, "low": 0.6, "high": 0.8, "rows": 10, "positives": 4, "negatives": 6,
        "users": 5, "one_class_users": None, "replicates": [0.6, 0.8],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        (evaluation("mfh-1"), ("candidate", "auc")),
        (evaluation("ple-1"), ("champion", "auc")),
        (evaluation("popularity"), ("popularity", "auc")),
        (evaluation("group_mean"), ("group_mean", "auc")),
        (evaluation("ple-0"), None),  # a model of another night
        (evaluation("mfh-1", "auc_gain", baseline="ple-1"), ("candidate", "auc_gain")),
        (evaluation("mfh-1", "auc_gain", baseline="group_mean"), None),  # a gain, but not over the champion
    ],
)
def test_metrics_of_the_models_of_the_decision_are_shown_and_gains_over_the_champion(
    row: dict[str, Any], shown: tuple[str, str] | None
) -> None:
    found = [(each.role, each.metric) for each in cells_of(night(evaluations=[row]), DECISION)]

    assert found == ([] if shown is None else [shown])


def test_metrics_come_in_the_order_of_tasks_and_say_how_many_replicates_they_have() -> None:
    rows = [evaluation("mfh-1", "mse", task="play"), evaluation("mfh-1") | {"replicates": None}]

    found = list(cells_of(night(evaluations=rows), DECISION))

    assert [(each.task, each.replicates) for each in found] == [("click", None), ("play", 2)]


def test_curves_of_candidate_and_champion_are_shown_and_no_others() -> None:
    rows = [
        {"model_version": version, "task": "click", "point": point, "predicted": 0.1, "observed": 0.2,
         "weight": 29.6}
        for version in ("ple-1", "ple-0", "mfh-1", "group_mean")
        for point in (0,)
    ]  # fmt: skip

    found = list(calibration_of(night(calibration_curves=rows), DECISION))

    assert [(each.role, each.count) for each in found] == [("candidate", 30), ("champion", 30)]


@pytest.mark.parametrize(
    ("decision", "shown"), [(DECISION, ["it uses one expert"]), (None, [])], ids=["decision", "none"]
)
def test_gates_and_warnings_are_those_of_the_candidate(decision: Decision | None, shown: list[str]) -> None:
    gate = {"gate": "click", "expert": "0", "cohort": "all", "rows": 9, "mean": 0.5, "std": 0.1}
    tonight = night(
        model_warnings=[
            {"model_version": "mfh-1", "warning": "it uses one expert"},
            {"model_version": "ple-1", "warning": "of the champion"},
        ],
        gate_weights=[gate | {"model_version": name, "active_share": 1.0} for name in ("mfh-1", "ple-1")],
    )

    assert list(warnings_of(tonight, decision)) == shown
    assert len(list(gates_of(tonight, decision))) == len(shown)


def test_without_a_decision_no_metric_and_no_curve_is_shown() -> None:
    nothing = night()

    assert (list(cells_of(nothing, None)), list(calibration_of(nothing, None))) == ([], [])
