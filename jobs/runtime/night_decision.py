"""What a night's page shows of training: the decision, metrics by cell, calibration, and gates."""

from collections.abc import Iterator
from typing import Any

from jobs.runtime.run import Run
from quality.report.model import CalibrationPoint, Decision, DecisionCell, GateBar, MetricCell, Role

COUNTS = ("rows", "positives", "negatives", "users", "one_class_users")


def decision_of(run: Run) -> Decision | None:
    """Return the newest decision of the data date; None: it was no training night."""
    rows = run.rows("promotions", data_date=run.data_date)
    if not rows:
        return None
    row = max(rows, key=lambda row: row["decision_no"])
    names = ("task", "cohort", "metric", "status", "gain", "low", "high", "weight", "users")
    cells = [
        DecisionCell(**{name: cell[name] for name in names})
        for cell in run.rows("promotion_cells", data_date=run.data_date)
        if cell["decision_no"] == row["decision_no"]
    ]
    order = {task.name: number for number, task in enumerate(run.config.tasks)}
    return Decision(
        candidate=row["candidate"],
        champion_before=row["champion_before"],
        champion_after=row["champion_after"],
        promoted=row["promoted"],
        reasons=tuple(row["reasons"]),
        cells=tuple(sorted(cells, key=lambda cell: (order[cell.task], cell.cohort))),
        warnings=tuple(row["warnings"]),
    )


def cells_of(run: Run, decision: Decision | None) -> Iterator[MetricCell]:
    """Return the metrics of candidate, champion and baselines, and the gains over the champion."""
    if decision is None:
        return
    order = {task.name: number for number, task in enumerate(run.config.tasks)}
    roles = _roles(decision)
    rows = run.rows("evaluations", last_data_date=run.data_date)
    for row in sorted(rows, key=lambda row: (order[row["task"]], row["cohort"], row["metric"])):
        is_shown = row["baseline_version"] in ("", decision.champion_before)
        if row["model_version"] in roles and is_shown:
            names = ("task", "cohort", "metric", "value", "low", "high", *COUNTS)
            values: dict[str, Any] = {name: row[name] for name in names}
            replicates = len(row["replicates"] or ()) or None
            yield MetricCell(role=roles[row["model_version"]], replicates=replicates, **values)


def calibration_of(run: Run, decision: Decision | None) -> Iterator[CalibrationPoint]:
    """Return the calibration curves of the candidate and of the champion that it was compared with."""
    if decision is None:
        return
    roles = {version: role for version, role in _roles(decision).items() if role in ("champion", "candidate")}
    rows = run.rows("calibration_curves", last_data_date=run.data_date)
    for row in sorted(rows, key=lambda row: (row["model_version"], row["task"], row["point"])):
        if row["model_version"] in roles:
            role = roles[row["model_version"]]
            weight = round(row["weight"])
            yield CalibrationPoint(row["task"], role, row["predicted"], row["observed"], weight)


def gates_of(run: Run, decision: Decision | None) -> Iterator[GateBar]:
    """Return the weights that the candidate's gates give."""
    for row in run.rows("gate_weights", last_data_date=run.data_date):
        if decision is not None and row["model_version"] == decision.candidate:
            names = ("gate", "expert", "cohort", "rows", "mean", "std", "active_share")
            yield GateBar(**{name: row[name] for name in names})


def warnings_of(run: Run, decision: Decision | None) -> Iterator[str]:
    """Return what has collapsed in the candidate, as sentences."""
    for row in run.rows("model_warnings", last_data_date=run.data_date):
        if decision is not None and row["model_version"] == decision.candidate:
            yield str(row["warning"])


def _roles(decision: Decision) -> dict[str | None, Role]:
    baselines: dict[str | None, Role] = {"popularity": "popularity", "group_mean": "group_mean"}
    return baselines | {decision.champion_before: "champion", decision.candidate: "candidate"}
