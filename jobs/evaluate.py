"""Measure the candidate, and the champion on the same rows, by task and cohort with intervals.

lamplighter evaluate --data-date 2022-05-08 --model mfh

Evaluated are the examples of all days after the training set, up to the data date. States of cells add
up over partitions (models/metrics), and so do those of the candidate's gates; so cost is linear in
examples and what reaches the driver is bounded by tasks x cohorts x replicates, and by partitions x gates
x cohorts.
"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from pyspark.sql import DataFrame

from core.errors import LamplighterError
from core.schema import CohortAxes, Evaluation, Task
from features.cohorts import with_rollups
from features.encoding import encoded
from jobs.runtime.job import job
from jobs.runtime.run import Run
from jobs.runtime.steps import evaluation_days
from jobs.tables.registry import champion_as_of
from jobs.workers.inference import (
    CELL_SCHEMA,
    GATE_SCHEMA,
    STATE_SCHEMA,
    WITH_INTERVALS,
    task_numbers,
    to_cells,
    to_gate_states,
    to_states,
)
from models.metrics.bootstrap import interval, paired_interval
from models.metrics.gate_report import GateKey, GateState, GateSums, collapsed, gate_weights, merge
from models.serving.bundle import Bundle, read_bundle

Cell = dict[str, Any]

ERRORS = ("mse", "mae")  # less of them is better


@job
def evaluate(run: Run) -> None:
    """Replace the evaluations of candidate and champion up to the data date, and the candidate's gates."""
    if (reason := run.no_training()) is not None:
        run.notes.append(reason)
        return
    run.require_inputs()
    candidate = str(run.newest_runs()[("train", run.config.model.name, run.last)].facts["model_version"])
    champion = champion_as_of(run.store, run.last, candidate)
    run.entry.facts |= {"candidate": candidate, "champion": champion}

    days = evaluation_days(run.config, run.last)
    examples = run.compute(with_cohort_axes(run.read("examples", days[0], days[-1]), run.config.cohorts))
    versions = list(dict.fromkeys(version for version in (candidate, champion) if version is not None))
    bundles = {version: read_bundle(run.catalog.bundle(version)) for version in versions}
    cells = [
        cell
        for bundle in bundles.values()
        for cell in measure(examples, bundle, run.config.tasks, run.config.evaluation)
    ]
    run.entry.facts["calibration_curves"] = {version: curves(cells, version) for version in versions}
    rows = [to_row(cell, days) for cell in cells]
    rows += [to_row(gain, days) for gain in gains(cells, candidate, champion)]
    names = ", ".join(f"'{version}'" for version in versions)
    run.replace_rows("evaluations", rows, f"last_data_date = '{run.last}' AND model_version IN ({names})")
    run.notes.append(" and ".join(versions))
    write_gates(run, watch_gates(examples, bundles[candidate]), candidate, days)


def with_cohort_axes(examples: DataFrame, cohorts: CohortAxes) -> DataFrame:
    """Add the roll-ups that each row counts in.

    All rows of a user are in one partition, one after another, in an order that a rerun finds again.
    """
    partitions = 2 * examples.sparkSession.sparkContext.defaultParallelism
    examples = examples.repartition(partitions, "user_id").sortWithinPartitions("user_id", "event_id")
    examples = with_rollups(examples, "user_cohort", cohorts.user)
    return with_rollups(examples, "item_cohort", cohorts.item)


def measure(
    examples: DataFrame, bundle: Bundle, tasks: tuple[Task, ...], evaluation: Evaluation
) -> list[Cell]:
    """Every metric of every cell of one model.

    Args:
        examples: as `with_cohort_axes` arranges them.
        bundle: of the model.
        tasks: which ones to measure.
        evaluation: replicates, and how many of a class, or of users, a value needs.

    Raises:
        LamplighterError: the model does not predict one of the tasks.
    """
    version = bundle.manifest.model_version
    if unknown := sorted({task.name for task in tasks} - set(task_numbers(bundle))):
        raise LamplighterError(f"{version} does not predict {unknown}; train a model of these tasks first")
    states = for_model(examples, bundle, tasks).mapInPandas(
        to_states(str(bundle.path), version, tasks, evaluation.replicates), STATE_SCHEMA
    )
    by_cell = states.groupBy("model_version", "task", "cohort", "kind")
    rows = by_cell.applyInPandas(to_cells(evaluation.min_class_count), CELL_SCHEMA).collect()
    return [cell.asDict() for cell in sorted(rows, key=lambda c: (c["task"], c["cohort"], c["metric"]))]


def for_model(examples: DataFrame, bundle: Bundle, tasks: tuple[Task, ...]) -> DataFrame:
    """Examples with the columns that a model and its metrics need; rows stay where they are."""
    return examples.select(
        "user_id",
        "user_cohort",
        "item_cohort",
        "user_cohort_axis",
        "item_cohort_axis",
        "weight",
        *(f"{part}_{task.name}" for task in tasks for part in ("label", "mask")),
        *encoded(examples, bundle.encoder),
    )


def watch_gates(examples: DataFrame, bundle: Bundle) -> GateState:
    """What the gates of a model do with the examples; nothing for a model without gates."""
    rows = for_model(examples, bundle, ()).mapInPandas(to_gate_states(str(bundle.path)), GATE_SCHEMA)
    keys = len(GateKey._fields)
    return merge({GateKey(*row[:keys]): GateSums(*row[keys:])} for row in rows.collect())


def write_gates(run: Run, state: GateState, candidate: str, days: list[Any]) -> None:
    """Replace the candidate's rows of `gate_weights`; what has collapsed goes to the ledger."""
    of_run = {"model_version": candidate, "first_data_date": days[0], "last_data_date": days[-1]}
    rows = [of_run | asdict(weight) for weight in gate_weights(state)]
    where = f"last_data_date = '{run.last}' AND model_version = '{candidate}'"
    run.replace_rows("gate_weights", rows, where)
    run.entry.facts["gate_warnings"] = collapsed(state)


def curves(cells: list[Cell], model_version: str) -> dict[str, Any]:
    """Task -> calibration curve of a model over all rows."""
    return {
        c["task"]: c["curve"]
        for c in cells
        if (c["model_version"], c["metric"], c["cohort"]) == (model_version, "ece", "all")
    }


def gains(cells: list[Cell], candidate: str, champion: str | None) -> Iterator[Cell]:
    """What the candidate is better by, paired: the same users drawn in each replicate.

    Candidate minus champion, of errors the other way round: above zero the candidate is better.
    """
    if champion in (None, candidate):
        return
    by_key = {(c["model_version"], c["task"], c["cohort"], c["metric"]): c for c in cells}
    for (version, *cell_key), ours in by_key.items():
        theirs = by_key.get((champion, *cell_key))
        if version != candidate or ours["metric"] not in WITH_INTERVALS or theirs is None:
            continue
        more, less = (theirs, ours) if ours["metric"] in ERRORS else (ours, theirs)
        is_known = ours["value"] is not None and theirs["value"] is not None
        yield ours | {
            "metric": f"{ours['metric']}_gain",
            "value": more["value"] - less["value"] if is_known else None,
            "replicates": more["replicates"],
            "baseline_version": champion,
            "baseline_replicates": less["replicates"],
        }


def to_row(cell: Cell, days: list[Any]) -> Cell:
    """A cell as a row of `evaluations`, its interval from the replicates."""
    ours = np.array(cell["replicates"], dtype=np.float64)
    bounds = None
    if cell["value"] is not None and len(ours):
        theirs = cell.get("baseline_replicates")
        bounds = (
            interval(ours) if theirs is None else paired_interval(ours, np.array(theirs, dtype=np.float64))
        )
    low, high = bounds or (None, None)
    return {
        "first_data_date": days[0],
        "last_data_date": days[-1],
        "low": low,
        "high": high,
        "baseline_version": cell.get("baseline_version"),
        **{name: cell[name] for name in ("model_version", "task", "cohort", "metric", "value")},
        **{name: cell[name] for name in ("rows", "positives", "negatives", "users", "one_class_users")},
    }


if __name__ == "__main__":
    evaluate.main()
