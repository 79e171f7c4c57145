"""Measure the candidate, the champion and the baselines on the same rows, by task and cohort.

lamplighter evaluate --data-date 2022-05-08 --model mfh

Evaluated are the examples of all days after the training set, up to the newest whose labels are final.
Cost: linear in these examples; what reaches the driver is bounded by tasks x cohorts x replicates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

from pyspark.sql import DataFrame

from core.training_days import baseline_date, evaluation_days
from features.cell_users import to_cell_users
from jobs.runtime.job import ONE, job
from jobs.runtime.reads import day_before_evaluation, days_of_evaluation, rival, same_day
from jobs.runtime.run import Run
from jobs.workers.baselines import measure_baselines
from jobs.workers.evaluation import (
    MetricCell,
    constant_scores,
    gains,
    gate_state,
    measure_model,
    with_cohort_axes,
)
from models.metrics.gate_report import collapsed, gate_weights
from models.serving.bundle import Bundle, read_bundle
from quality.served import BASELINES


@job(
    reads=(
        same_day("models"),
        days_of_evaluation("examples"),
        day_before_evaluation("group_means"),
        rival(),
    ),
    writes=("model_warnings", "gate_weights", "calibration_curves", "evaluations"),
    config=(
        *("evaluation", "baselines", "exposure", "cohorts", "training", "model.name"),
        *("tasks[].name", "tasks[].kind", "tasks[].matures_days"),
    ),
    dates=ONE,
    training=True,
    per_model=True,
)
def evaluate(run: Run) -> None:
    """Replace the evaluations of candidate, champion and baselines as of the data date."""
    trained = run.row("models", data_date=run.data_date, model=run.config.model.name)
    candidate, champion = str(trained["model_version"]), run.champion()
    days = evaluation_days(run.config, run.data_date)
    examples = run.compute(with_cohort_axes(run.read("examples", days[0], days[-1]), run.config.cohorts))

    versions = [version for version in dict.fromkeys((candidate, champion)) if version is not None]
    bundles = {version: read_bundle(run.catalog.bundle(version)) for version in versions}
    cells = [
        cell
        for bundle in bundles.values()
        for cell in measure_model(examples, bundle, run.config.tasks, run.config.evaluation)
    ]
    means = run.read("group_means", baseline_date(run.config.training, run.data_date))
    cells += measure_baselines(examples, means, run.config)
    against = (champion, *BASELINES)
    cells += [gain for other in against for gain in gains(cells, candidate, other)]
    write_gates(run, examples, bundles[candidate], days[0], [*constant_scores(cells, candidate)])
    write_cells(run, cells, examples, days[0])
    run.note(" and ".join(versions))


def write_cells(run: Run, cells: list[MetricCell], examples: DataFrame, first: date) -> None:
    """Replace rows of `evaluations` and of `calibration_curves` for all that was measured."""
    users = {
        (row["task"], f"user:{row['user_cohort']}"): row.asDict()
        for row in to_cell_users(examples, run.config.tasks).collect()
    }
    rows = [
        with_users(cell.to_row(first, run.data_date), users.get((cell.task, cell.cohort))) for cell in cells
    ]
    versions = {cell.model_version for cell in cells}
    run.commit_rows("calibration_curves", curve_rows(cells, run.data_date), model_version=versions)
    run.commit_rows("evaluations", rows, model_version=versions)


def with_users(row: dict[str, Any], of_cell: Mapping[str, Any] | None) -> dict[str, Any]:
    """Add the users of a cell; of GAUC `users` stays those that the metric counts, with both classes."""
    if of_cell is None:
        return row
    users = of_cell["users"] if row["users"] is None else row["users"]
    return row | {name: of_cell[name] for name in ("positive_users", "negative_users")} | {"users": users}


def curve_rows(cells: Sequence[MetricCell], last: date) -> list[dict[str, Any]]:
    """Return the rows of `calibration_curves`: a row per point of each model and task, over all rows."""
    return [
        {"model_version": cell.model_version, "last_data_date": last, "task": cell.task, "point": point}
        | dict(zip(("predicted", "observed", "weight"), values, strict=True))
        for cell in cells
        if (cell.metric, cell.cohort) == ("ece", "all")
        for point, values in enumerate(cell.curve)
    ]


def write_gates(run: Run, examples: DataFrame, bundle: Bundle, first: date, constant: Sequence[str]) -> None:
    """Replace the candidate's rows of `gate_weights`, and in `model_warnings` what has collapsed in it."""
    candidate = bundle.manifest.model_version
    state = gate_state(examples, bundle)
    key: dict[str, Any] = {"model_version": candidate, "last_data_date": run.data_date}
    warnings = [key | {"warning": text} for text in (*collapsed(state), *constant)]
    weights = [key | {"first_data_date": first} | asdict(weight) for weight in gate_weights(state)]
    run.commit_rows("model_warnings", warnings, model_version=candidate)
    run.commit_rows("gate_weights", weights, model_version=candidate)


if __name__ == "__main__":
    evaluate.main()
