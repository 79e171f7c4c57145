"""Metrics of a model over examples in Spark: states of cells add up over partitions and become values.

A predictor runs inside Spark workers; what reaches the driver is bounded by tasks x cohorts x replicates,
and by partitions x gates x cohorts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
from pyspark.sql import DataFrame

from core.errors import LamplighterError
from core.schema import CohortAxes, Evaluation, Task
from features.cohorts import with_rollups
from features.encoding import encoded
from jobs.workers.bundles import bring_bundle, task_numbers
from jobs.workers.inference import (
    CELL_SCHEMA,
    GATE_SCHEMA,
    STATE_SCHEMA,
    WITH_INTERVALS,
    Predictor,
    model_predictor,
    to_cells,
    to_gate_states,
    to_states,
)
from models.metrics.bootstrap import interval, paired_interval
from models.metrics.gate_report import GateKey, GateState, GateSums, merge
from models.serving.bundle import Bundle
from quality.metrics import ERRORS


@dataclass(frozen=True)
class MetricCell:
    """One metric of one model in one cell, with its replicates over users.

    Attributes:
        baseline_version: of a gain, the model that it is a gain over; "" for a value of one model.
        replicates: the metric in each bootstrap replicate; () for metrics without an interval.
        baseline_replicates: of a gain, those of the baseline.
        curve: of the calibration error, (predicted, observed, weight) per bin.
    """

    model_version: str
    task: str
    cohort: str
    metric: str
    value: float | None
    rows: int
    positives: int | None
    negatives: int | None
    users: int | None
    one_class_users: int | None
    replicates: tuple[float, ...] = ()
    curve: tuple[tuple[float, ...], ...] = ()
    baseline_version: str = ""
    baseline_replicates: tuple[float, ...] = ()

    def to_row(self, first: date, last: date) -> dict[str, Any]:
        """Return the cell as a row of `evaluations`, its 95 % interval from the replicates.

        Args:
            first: first data date that was evaluated.
            last: data date of the night: what was evaluated ends as many days before as labels need.
        """
        low, high = self._interval() or (None, None)
        names = (
            *("model_version", "task", "cohort", "metric", "value", "rows", "positives", "negatives"),
            *("users", "one_class_users", "baseline_version"),
        )
        return {
            "first_data_date": first,
            "last_data_date": last,
            "low": low,
            "high": high,
            "replicates": list(self.replicates),
            **{name: getattr(self, name) for name in names},
        }

    def _interval(self) -> tuple[float, float] | None:
        if self.value is None or not self.replicates:
            return None
        ours = np.array(self.replicates, dtype=np.float64)
        if not self.baseline_replicates:
            return interval(ours)
        return paired_interval(ours, np.array(self.baseline_replicates, dtype=np.float64))


def with_cohort_axes(examples: DataFrame, cohorts: CohortAxes) -> DataFrame:
    """Add the roll-ups that each row counts in.

    All rows of a user are in one partition, one after another, in an order that a rerun finds again.
    """
    examples = with_rollups(by_user(examples), "user_cohort", cohorts.user)
    return with_rollups(examples, "item_cohort", cohorts.item)


def by_user(examples: DataFrame) -> DataFrame:
    """Return the rows with all those of a user in one partition, one after another; a join undoes this."""
    partitions = 2 * examples.sparkSession.sparkContext.defaultParallelism
    return examples.repartition(partitions, "user_id").sortWithinPartitions(
        "user_id", "event_id", "data_date"
    )


def measure_model(
    examples: DataFrame, bundle: Bundle, tasks: tuple[Task, ...], evaluation: Evaluation
) -> list[MetricCell]:
    """Return every metric of every cell of one model.

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
    name = bring_bundle(examples.sparkSession.sparkContext, bundle.path)
    predict = model_predictor(name, [task.name for task in tasks])
    return measure(for_model(examples, bundle, tasks), version, predict, tasks, evaluation)


def measure(
    rows: DataFrame, version: str, predict: Predictor, tasks: tuple[Task, ...], evaluation: Evaluation
) -> list[MetricCell]:
    """Return every metric of every cell of whatever predicts.

    Args:
        rows: in the order of `with_cohort_axes`, with the columns that `predict` reads.
        version: what the cells are called by.
        predict: rows -> one logit (of a regression, the value) per task, (n, K).
        tasks: K tasks.
        evaluation: see `measure_model`.
    """
    states = rows.mapInPandas(to_states(predict, version, tasks, evaluation.replicates), STATE_SCHEMA)
    by_cell = states.groupBy("model_version", "task", "cohort", "kind")
    cells = by_cell.applyInPandas(to_cells(evaluation.min_class_count), CELL_SCHEMA).collect()
    found = [
        MetricCell(
            **{
                **cell.asDict(),
                "replicates": tuple(cell["replicates"] or ()),
                "curve": tuple(map(tuple, cell["curve"] or ())),
            }
        )
        for cell in cells
    ]
    return sorted(found, key=lambda cell: (cell.task, cell.cohort, cell.metric))


def for_model(examples: DataFrame, bundle: Bundle, tasks: tuple[Task, ...]) -> DataFrame:
    """Return examples with the columns that a model and its metrics need; rows stay where they are."""
    return examples.select(*metric_columns(tasks), *encoded(examples, bundle.encoder))


def metric_columns(tasks: tuple[Task, ...]) -> list[str]:
    """Return the columns of examples that metrics need."""
    return [
        *("user_id", "user_cohort", "item_cohort", "user_cohort_axis", "item_cohort_axis", "weight"),
        *(f"{part}_{task.name}" for task in tasks for part in ("label", "mask")),
    ]


def gate_state(examples: DataFrame, bundle: Bundle) -> GateState:
    """Return what the gates of a model do with the examples; empty for a model without gates."""
    name = bring_bundle(examples.sparkSession.sparkContext, bundle.path)
    rows = for_model(examples, bundle, ()).mapInPandas(to_gate_states(name), GATE_SCHEMA)
    keys = len(GateKey._fields)
    return merge({GateKey(*row[:keys]): GateSums(*row[keys:])} for row in rows.collect())


def constant_scores(cells: Sequence[MetricCell], version: str) -> Iterator[str]:
    """Return warnings of binary tasks whose score does not depend on the row, in all rows or in a cohort.

    AUC is then exactly a half in the sample and in every replicate. A task that is constant in all rows is
    not named per cohort.
    """
    constant = {
        (cell.task, cell.cohort): cell.rows
        for cell in cells
        if (cell.model_version, cell.metric, cell.value) == (version, "auc", 0.5)
        and cell.replicates
        and all(value == 0.5 for value in cell.replicates if not np.isnan(value))
    }
    for (task, cohort), rows in constant.items():
        if cohort == "all" or (task, "all") not in constant:
            yield f"task {task} has the same score in all {rows:,} rows of cohort {cohort}"


def gains(cells: Sequence[MetricCell], candidate: str, rival: str | None) -> Iterator[MetricCell]:
    """Return what the candidate is better by, paired: the same users drawn in each replicate.

    Candidate minus rival, of errors the other way round: above zero the candidate is better.
    """
    if rival in (None, candidate):
        return
    by_key = {(c.model_version, c.task, c.cohort, c.metric): c for c in cells}
    for (version, *cell_key), ours in by_key.items():
        theirs = by_key.get((rival, *cell_key))  # type: ignore[arg-type]
        if version != candidate or ours.metric not in WITH_INTERVALS or theirs is None:
            continue
        more, less = (theirs, ours) if ours.metric in ERRORS else (ours, theirs)
        value = None if more.value is None or less.value is None else more.value - less.value
        yield replace(
            ours,
            metric=f"{ours.metric}_gain",
            value=value,
            replicates=more.replicates,
            baseline_version=str(rival),
            baseline_replicates=less.replicates,
        )
