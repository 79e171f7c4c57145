"""Measure the candidate, and the champion on the same rows, by task and cohort with intervals.

lamplighter evaluate --data-date 2022-05-08 --model mfh

Evaluated are the examples of all days after the training set, up to the data date. States of cells add
up over partitions (models/metrics.py), so cost is linear in examples and what reaches the driver is
bounded by tasks x cohorts x replicates.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from pyspark.sql import DataFrame

from conf.errors import LamplighterError
from features.cohorts import with_rollups
from features.encoding import encoded
from jobs.runtime.inference import CELL_SCHEMA, STATE_SCHEMA, task_numbers, to_cells, to_states
from jobs.runtime.job import job
from jobs.runtime.registry import champion_as_of
from jobs.runtime.run import Run
from jobs.runtime.steps import evaluation_days
from models.bootstrap import interval, paired_interval
from models.bundle import read_bundle

Cell = dict[str, Any]


@job
def evaluate(run: Run) -> None:
    """Replace the evaluations of candidate and champion up to the data date."""
    if (reason := run.no_training()) is not None:
        run.notes.append(reason)
        return
    run.require_inputs()
    candidate = str(run.newest_runs()[("train", run.config.model.name, run.last)].facts["model_version"])
    champion = champion_as_of(run.store, run.last, candidate)
    run.entry.facts |= {"candidate": candidate, "champion": champion}

    days = evaluation_days(run.config, run.last)
    examples = run.compute(with_cohort_axes(run.read("examples", days[0], days[-1]), run))
    versions = list(dict.fromkeys(version for version in (candidate, champion) if version is not None))
    cells = [cell for version in versions for cell in measure(run, examples, version)]

    rows = [to_row(cell, days) for cell in cells]
    rows += [to_row(gain, days) for gain in gains(cells, candidate, champion)]
    names = ", ".join(f"'{version}'" for version in versions)
    run.replace_rows("evaluations", rows, f"last_data_date = '{run.last}' AND model_version IN ({names})")
    run.notes.append(" and ".join(versions))


def with_cohort_axes(examples: DataFrame, run: Run) -> DataFrame:
    """Add the roll-ups that each row counts in; rows in an order that a rerun finds again."""
    examples = examples.repartition(2 * run.spark.sparkContext.defaultParallelism, "user_id")
    examples = examples.sortWithinPartitions("event_id")
    examples = with_rollups(examples, "user_cohort", run.config.cohorts.user)
    return with_rollups(examples, "item_cohort", run.config.cohorts.item)


def measure(run: Run, examples: DataFrame, model_version: str) -> list[Cell]:
    """Every metric of every cell of one model; calibration curves go to the ledger."""
    path = run.catalog.bundle(model_version)
    bundle = read_bundle(path)
    tasks = tuple(task.name for task in run.config.tasks if task.kind == "binary")
    unknown = sorted(set(tasks) - set(task_numbers(bundle)))
    if unknown:
        raise LamplighterError(
            f"{model_version} does not predict {unknown}; train a model of these tasks first"
        )
    encoded_rows = examples.select(
        "user_id",
        "user_cohort",
        "item_cohort",
        "user_cohort_axis",
        "item_cohort_axis",
        "weight",
        *(f"{part}_{task}" for task in tasks for part in ("label", "mask")),
        *encoded(examples, bundle.encoder),
    )
    states = encoded_rows.mapInPandas(
        to_states(str(path), model_version, tasks, run.config.evaluation.replicates), STATE_SCHEMA
    )
    by_cell = states.groupBy("model_version", "task", "cohort")
    rows = by_cell.applyInPandas(to_cells(run.config.evaluation.min_class_count), CELL_SCHEMA).collect()
    cells = [cell.asDict() for cell in sorted(rows, key=lambda c: (c["task"], c["cohort"], c["metric"]))]
    curves = {c["task"]: c["curve"] for c in cells if c["metric"] == "ece" and c["cohort"] == "all"}
    run.entry.facts.setdefault("calibration_curves", {})[model_version] = curves
    return cells


def gains(cells: list[Cell], candidate: str, champion: str | None) -> Iterator[Cell]:
    """AUC of the candidate minus the champion's, paired: the same users drawn in each replicate."""
    champions = {
        (c["task"], c["cohort"]): c for c in cells if c["model_version"] == champion and c["metric"] == "auc"
    }
    for cell in cells:
        other = champions.get((cell["task"], cell["cohort"]))
        is_candidates = cell["model_version"] == candidate and cell["metric"] == "auc"
        if not is_candidates or champion == candidate or other is None:
            continue
        is_known = cell["value"] is not None and other["value"] is not None
        yield cell | {
            "metric": "auc_gain",
            "value": cell["value"] - other["value"] if is_known else None,
            "baseline_version": champion,
            "baseline_replicates": other["replicates"],
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
        "rows": cell["positives"] + cell["negatives"],
        "baseline_version": cell.get("baseline_version"),
        **{name: cell[name] for name in ("model_version", "task", "cohort", "metric", "value")},
        **{name: cell[name] for name in ("positives", "negatives")},
    }


if __name__ == "__main__":
    evaluate.main()
