"""Decide between champion, candidate and baselines, on the cells of the primary tasks.

lamplighter promote --data-date 2022-05-08 --model mfh

The rule is quality/promotion.py; this job brings it the evaluations and records what it decided.
Cost: the rows of one evaluation.
"""

from typing import Any

from jobs.runtime.job import ONE, job
from jobs.runtime.reads import rival, same_day
from jobs.runtime.run import Run
from jobs.tables.evaluations import cells_of
from quality.promotion import Candidate, Decision, decide


@job(
    reads=(same_day("evaluations"), same_day("models"), rival()),
    writes=("promotion_cells", "promotions"),
    config=(
        *("promotion", "cohorts.user", "model.name", "suites.evaluations", "tasks[].name", "tasks[].kind"),
    ),
    dates=ONE,
    training=True,
    per_model=True,
    entry_points=("quality.suites",),  # verdicts decide which rows and models pass
)
def promote(run: Run) -> None:
    """Write one decision to `promotions`, and mirror the newest champion in the registry."""
    (model,) = run.rows("models", data_date=run.data_date, model=run.config.model.name)
    version, champion = str(model["model_version"]), run.champion()
    rows = run.rows("evaluations", last_data_date=run.data_date)
    candidate = Candidate(version, suite_passes(run, rows, version), model["best_epoch"], model["max_epochs"])
    decision = decide(
        candidate, champion, cells_of(rows, version, champion, run.config), run.config.promotion
    )
    write_decision(run, decision)

    run.models.mirror_champion()
    verb = "promoted" if decision.promoted else "not promoted"
    run.note(f"{version} {verb}: {decision.reasons[0]}")


def suite_passes(run: Run, rows: list[dict[str, Any]], version: str) -> bool:
    """Run the suite of evaluations over the candidate's metric of all rows, one row per primary task."""
    metrics = {
        task.name: "auc" if task.kind == "binary" else run.config.promotion.regression_metric
        for task in run.config.tasks
        if task.name in run.config.promotion.primary_tasks
    }
    overall = [
        (row["task"], row["value"])
        for row in rows
        if (row["model_version"], row["cohort"]) == (version, "all")
        and row["metric"] == metrics.get(row["task"])
        and not row["baseline_version"]
    ]
    frame = run.spark.createDataFrame(overall, "task string, value double")
    verdicts = run.judge(frame, "evaluations")
    return bool(overall) and all(verdict.passed for verdict in verdicts.values())


def write_decision(run: Run, decision: Decision) -> None:
    """Write the decision and its cells; the same candidate on the same date keeps its number."""
    tonight = run.rows("promotions", data_date=run.data_date)
    own = [row["decision_no"] for row in tonight if row["candidate"] == decision.candidate]
    number = own[0] if own else 1 + max((row["decision_no"] for row in tonight), default=0)
    key = {"data_date": run.data_date, "decision_no": number}
    cells = [
        key
        | {"task": cell.task, "cohort": cell.cohort, "metric": cell.metric, "users": cell.users}
        | {"weight": cell.weight, "status": cell.status}
        | ({} if cell.gain is None else {n: getattr(cell.gain, n) for n in ("low", "high")})
        | {"gain": None if cell.gain is None else cell.gain.value}
        for cell in decision.cells
    ]
    row = key | {
        "candidate": decision.candidate,
        "champion_before": decision.champion_before,
        "champion_after": decision.champion_after,
        "served": decision.served,
        "promoted": decision.promoted,
        "reasons": list(decision.reasons),
        "warnings": list(decision.warnings),
    }
    run.commit_rows("promotion_cells", cells, decision_no=number)
    run.commit_rows("promotions", [row], decision_no=number)


if __name__ == "__main__":
    promote.main()
