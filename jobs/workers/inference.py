"""Measuring inside Spark workers: examples -> calibrated logits -> states of cells and gates."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from core.schema import Task
from jobs.workers.bundles import bundle_in_worker, model_in_worker, task_numbers, to_arrays
from models.metrics import gate_report
from models.metrics.binary import METRICS, CellState
from models.metrics.bootstrap import user_weights
from models.metrics.gauc import GaucState
from models.metrics.regression import REGRESSION_METRICS, RegressionState
from models.serving.bundle import Bundle

State = CellState | GaucState | RegressionState
STATES: dict[str, tuple[type[State], tuple[str, ...]]] = {
    "binary": (CellState, METRICS),
    "within_users": (GaucState, ("gauc",)),
    "regression": (RegressionState, REGRESSION_METRICS),
}
"""Kind of state -> its class, and its metrics."""

STATE_SCHEMA = "model_version string, task string, cohort string, kind string, state binary"
CELL_SCHEMA = (
    "model_version string, task string, cohort string, metric string, value double, rows long, "
    "positives long, negatives long, users long, one_class_users long, replicates array<double>, "
    "curve array<array<double>>"
)
GATE_SCHEMA = (
    "gate string, expert string, cohort string, rows long, active_rows long, row_weight double, "
    "weight double, squares double"
)
WITH_INTERVALS = ("auc", "gauc", "mse", "mae")


def calibrated_logits(bundle_name: str, rows: pd.DataFrame) -> NDArray[np.float64]:
    """Calibrated logits of examples, (n, K): encoded columns, `user_cohort` and `item_cohort`."""
    bundle, model = bundle_in_worker(bundle_name), model_in_worker(bundle_name)
    categorical, dense = to_arrays(rows, bundle.encoder)
    user_group, item_group = places_of(bundle, rows)
    group = model.group_of(user_group, item_group)
    with torch.inference_mode():
        logits = model(torch.from_numpy(categorical), torch.from_numpy(dense), torch.from_numpy(group))
    return bundle.calibration.logits(logits.numpy(), user_group)


def places_of(bundle: Bundle, rows: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the rows' user cohorts and item cohorts among those of the bundle, (n,) each."""
    user_group, item_group = (bundle.places(c, rows[c].to_numpy()) for c in ("user_cohort", "item_cohort"))
    return user_group, item_group


def cohorts_of(rows: pd.DataFrame) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Every cohort that a row counts in: all, user's, item's, both; roll-ups are in the `_axis` columns."""
    yield "all", np.ones(len(rows), dtype=bool)
    members: dict[str, dict[str, NDArray[np.bool_]]] = {}
    for entity in ("user", "item"):
        axis_of_row, axes = pd.factorize(rows[f"{entity}_cohort_axis"].map(tuple))
        names = sorted({name for axis in axes for name in axis})
        members[entity] = {name: np.array([name in axis for axis in axes])[axis_of_row] for name in names}
        for name, is_member in members[entity].items():
            yield f"{entity}:{name}", is_member
    for user_name, is_user in members["user"].items():
        for item_name, is_item in members["item"].items():
            yield f"user:{user_name}|item:{item_name}", is_user & is_item


def whole_users(batches: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Cut a partition's batches anew, so that all rows of a user are in one.

    Args:
        batches: all rows of a user one after another, as evaluation sorts them; Spark cuts them anywhere.
    """
    held: list[pd.DataFrame] = []  # rows of the user who may go on in the next batch
    for rows in batches:
        if not len(rows):
            continue
        is_last = rows["user_id"] == rows["user_id"].iloc[-1]
        if held and held[0]["user_id"].iloc[0] != rows["user_id"].iloc[-1]:
            yield pd.concat([*held, rows[~is_last]], ignore_index=True)
            held = []
        elif not is_last.all():
            yield rows[~is_last]
        held.append(rows[is_last])
    if held:
        yield pd.concat(held, ignore_index=True)


Predictor = Callable[[pd.DataFrame], NDArray[np.float64]]
"""Rows -> one logit per task, (n, K); of a regression, the value itself. Runs in a worker."""


def model_predictor(bundle_name: str, tasks: Sequence[str]) -> Predictor:
    """Return a predictor that runs a bundle; rows hold its encoded columns."""

    def predict(rows: pd.DataFrame) -> NDArray[np.float64]:
        numbers = task_numbers(bundle_in_worker(bundle_name))
        logits: NDArray[np.float64] = calibrated_logits(bundle_name, rows)[
            :, [numbers[task] for task in tasks]
        ]
        return logits

    return predict


def column_predictor(columns: Sequence[str]) -> Predictor:
    """Return a predictor that takes the logit of each task from a column of the rows."""

    def predict(rows: pd.DataFrame) -> NDArray[np.float64]:
        logits: NDArray[np.float64] = rows[list(columns)].to_numpy(dtype=np.float64)
        return logits

    return predict


STATES_AT_ONCE = 8
"""States of a cell that a worker holds before it merges them into one."""


def to_states(
    predict: Predictor, model_version: str, tasks: tuple[Task, ...], replicates: int
) -> Callable[[Iterable[Any]], Iterator[pd.DataFrame]]:
    """Return a function of mapInPandas: examples -> the states of every cell in a partition.

    All rows of a user are in the partition, one after another. There is a state per Arrow batch of whole
    users, or one of the partition where it has STATES_AT_ONCE batches. Memory: as many states of every cell.
    """

    def states(batches: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        yield from merged(of_batches(batches))

    def of_batches(batches: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for rows in whole_users(batches):
            logits = predict(rows)
            weights = user_weights(rows["user_id"].to_numpy(), replicates)
            users = pd.factorize(rows["user_id"])[0]
            found = []
            for cohort, is_member in cohorts_of(rows):
                for number, task in enumerate(tasks):
                    kept = is_member & rows[f"mask_{task.name}"].to_numpy(dtype=bool)
                    values = (
                        logits[kept, number],
                        rows.loc[kept, f"label_{task.name}"].to_numpy(),
                        rows.loc[kept, "weight"].to_numpy(),
                        weights[kept],
                    )
                    if task.kind == "regression":
                        made: dict[str, State] = {"regression": RegressionState.of(*values)}
                    else:
                        within = GaucState.of(users[kept], *values)
                        made = {"binary": CellState.of(*values), "within_users": within}
                    for kind, state in made.items():
                        found.append((model_version, task.name, cohort, kind, state.to_bytes()))
            yield pd.DataFrame(found, columns=["model_version", "task", "cohort", "kind", "state"])

    return states


def merged(states: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Merge the states of a partition by cell as they come; fewer than STATES_AT_ONCE batches stay apart."""
    held: list[pd.DataFrame] = []
    batches = 0
    for of_batch in states:
        held.append(of_batch)
        batches += 1
        if len(held) == STATES_AT_ONCE:
            held = [_by_cell(held)]
    yield from held if batches < STATES_AT_ONCE or len(held) == 1 else [_by_cell(held)]


def _by_cell(states: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return one state per cell."""
    cell = ["model_version", "task", "cohort", "kind"]
    by_cell = pd.concat(states, ignore_index=True).groupby(cell)
    rows = [(*key, merge_states(key[-1], own).to_bytes()) for key, own in by_cell]
    return pd.DataFrame(rows, columns=[*cell, "state"])


def merge_states(kind: str, rows: pd.DataFrame) -> State:
    """Return one cell's states as one, in an order that does not depend on the shuffle.

    Memory: beside their bytes, two states.
    """
    states: Iterator[Any] = map(STATES[kind][0].from_bytes, sorted(rows["state"]))
    found: State = reduce(lambda one, other: one.merge(other), states)
    return found


def to_cells(least: int) -> Callable[[tuple[str, str, str, str], pd.DataFrame], pd.DataFrame]:
    """Return a function of applyInPandas: the states of one cell -> a row per metric.

    Its value is null below `least` rows of a class, users with both classes, or rows of a regression.

    It stands here and not in the job: a worker imports the module of what it runs, and a job's takes
    seconds.
    """

    def cells(key: tuple[str, str, str, str], of_cell: pd.DataFrame) -> pd.DataFrame:
        *names, kind = key
        state: Any = merge_states(kind, of_cell)
        nothing = dict.fromkeys(("positives", "negatives", "users", "one_class_users"))
        common = dict(zip(("model_version", "task", "cohort"), names, strict=True)) | nothing | state.counts()
        rows = []
        for metric in STATES[kind][1]:
            value = state.value(metric, least)
            has_interval = metric in WITH_INTERVALS and value is not None
            replicates = state.replicate_values(metric) if has_interval else np.array([])
            curve = state.calibration_curve() if metric == "ece" and value is not None else []
            rows.append(common | {"metric": metric, "value": value, "replicates": replicates, "curve": curve})
        return pd.DataFrame(rows)

    return cells


def to_gate_states(bundle_name: str) -> Callable[[Iterable[Any]], Iterator[pd.DataFrame]]:
    """Function of mapInPandas: encoded examples -> what the model's gates do with those of the partition."""

    def states(batches: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        bundle, model = bundle_in_worker(bundle_name), model_in_worker(bundle_name)
        total: gate_report.GateState = {}
        for rows in batches:
            categorical, dense = to_arrays(rows, bundle.encoder)
            found = gate_report.gate_state(
                model,
                torch.from_numpy(categorical),
                torch.from_numpy(dense),
                model.group_of(*places_of(bundle, rows)),
                rows["weight"].to_numpy(dtype=np.float64),
                dict(cohorts_of(rows)),
            )
            total = gate_report.merge([total, found])
        if total:
            columns = [*gate_report.GateKey._fields, *gate_report.GateSums._fields]
            yield pd.DataFrame([(*key, *sums) for key, sums in total.items()], columns=columns)

    return states
