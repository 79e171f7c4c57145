"""Decide between champion, candidate and baselines, on the cells of the primary tasks.

lamplighter promote --data-date 2022-05-08 --model mfh

The rule is quality/promotion.py; this job brings it the evaluations and records what it decided.
Cost: the rows of one evaluation.
"""

from collections.abc import Sequence

from jobs.runtime.job import ONE, job
from jobs.runtime.reads import rival, same_day
from jobs.runtime.run import Run
from jobs.tables.evaluations import cells_of
from quality.candidate import Candidate, PrimaryValue, not_measured, primary_values
from quality.decision_rows import cell_row, decision_number, promotion_row
from quality.promotion import Decision, decide


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
    model = run.row("models", data_date=run.data_date, model=run.config.model.name)
    version, champion = str(model["model_version"]), run.champion()
    rows = run.rows("evaluations", last_data_date=run.data_date)
    rules = run.config.promotion
    values = primary_values(rows, version, run.config.tasks, rules)
    candidate = Candidate(
        model_version=version,
        suite_passed=suite_passes(run, values),
        best_epoch=model["best_epoch"],
        max_epochs=model["max_epochs"],
        not_measured=not_measured(values),
    )
    decision = decide(candidate, champion, cells_of(rows, version, champion, run.config), rules)
    write_decision(run, decision)

    run.models.mirror_champion()
    verb = "promoted" if decision.promoted else "not promoted"
    run.note(f"{version} {verb}: {decision.reasons[0]}")


def suite_passes(run: Run, values: Sequence[PrimaryValue]) -> bool:
    """Run the suite of evaluations over the candidate's value of each primary task."""
    rows = [(each.task, each.value) for each in values]
    verdicts = run.judge(run.spark.createDataFrame(rows, "task string, value double"), "evaluations")
    return all(verdict.passed for verdict in verdicts.values())


def write_decision(run: Run, decision: Decision) -> None:
    """Write the decision and its cells; the same candidate on the same date keeps its number."""
    tonight = run.rows("promotions", data_date=run.data_date)
    number = decision_number(tonight, decision.candidate)
    cells = [cell_row(cell, run.data_date, number) for cell in decision.cells]
    run.commit_rows("promotion_cells", cells, decision_no=number)
    run.commit_rows("promotions", [promotion_row(decision, run.data_date, number)], decision_no=number)


if __name__ == "__main__":
    promote.main()
