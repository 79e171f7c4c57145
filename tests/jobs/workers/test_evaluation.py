"""Evaluation over a Delta table against one process, and against torch; GAUC across batches."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pyspark.sql import DataFrame, SparkSession
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score

from core.encoder import CategoricalEncoding, DenseEncoding, Encoder
from core.model import Loss, Model, Optimiser
from core.schema import CohortAxes, Cohorts, Evaluation, Task
from jobs.workers import evaluation
from jobs.workers.evaluation import (
    MetricCell,
    constant_scores,
    for_model,
    gains,
    measure_model,
    with_cohort_axes,
)
from jobs.workers.inference import (
    STATE_SCHEMA,
    calibrated_logits,
    cohorts_of,
    merge_states,
    model_predictor,
    to_states,
)
from models.metrics.binary import CellState
from models.metrics.bootstrap import user_weights
from models.metrics.device_states import DeviceStates
from models.metrics.gate_report import gate_state
from models.metrics.gauc import GaucState
from models.metrics.regression import RegressionState
from models.model import build_model
from models.serving.bundle import Bundle, Manifest, write_bundle
from models.serving.calibration import Calibration
from models.training.distributed import Single

TASKS = (
    Task(name="click", label="is_click = 1", kind="binary"),
    Task(name="seconds", label="play_seconds", kind="regression"),
)
GROUPS = ("new", "low", "high")
COHORT_VALUES = {"user_cohort": GROUPS}
COHORTS = CohortAxes(
    user=Cohorts(
        version=1,
        rules=({"name": "new", "when": "true"}, {"name": "low", "when": "true"}),
        default="high",
        rollups={"old": ("low", "high")},
    ),
    item=Cohorts(version=1, rules=({"name": "fresh", "when": "true"},), default="known"),
)
ENCODER = Encoder(
    categorical=(CategoricalEncoding(column="tab", kind="hash", size=5, dim=2),),
    dense=tuple(
        DenseEncoding(column=name, transform="identity", mean=0.0, std=1.0) for name in ("user_x", "item_x")
    ),
)
DAYS = (date(2022, 5, 7), date(2022, 5, 8))
EVALUATION = Evaluation(replicates=10, min_class_count=5)
LEVEL = {"task_experts": 1, "shared_experts": 2, "expert_widths": [4]}
TRUNKS: dict[str, dict[str, Any]] = {"shared_bottom": {"widths": [8]}, "ple": {"levels": [LEVEL, LEVEL]}}


def make_bundle(folder: Path, architecture: str) -> Bundle:
    """A bundle whose weights are quarters: float32 adds such numbers exactly, in whatever batches."""
    model = Model(
        name=architecture,
        architecture=architecture,
        trunk=TRUNKS[architecture],
        tower=(),
        loss=Loss(normalise="per_task"),
        optimiser=Optimiser(learning_rate=0.01, batch_rows=8, max_epochs=1, patience=1),
    )
    names = [task.name for task in TASKS]
    network = build_model(model, ENCODER, names, COHORT_VALUES, 3)
    folder.mkdir()
    weights = {name: (8 * value).round() / 4 for name, value in network.state_dict().items()}
    save_file(weights, folder / "weights.safetensors")
    about = Manifest(
        model_version=f"{architecture}-1",
        training_set="t",
        tasks=TASKS,
        cohorts=COHORT_VALUES,
        rule_versions={"user_cohort": 1},
        columns={"tab": "int", "user_x": "double", "item_x": "double"},
        table_versions={},
        code_revision="",
        seed=3,
    )
    calibration = Calibration(
        tasks=names,
        groups=GROUPS,
        slopes=(0.5, 1),
        intercepts=(0.25, 0),
        offsets=((0, 0.5, -0.25), (0, 0, 0)),
    )
    return write_bundle(folder / "bundle", folder / "weights.safetensors", model, ENCODER, calibration, about)


@pytest.fixture(scope="module")
def shared_bottom(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundles") / "shared_bottom", "shared_bottom")


@pytest.fixture(scope="module")
def examples(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFrame]:
    """600 rows of 40 users in a Delta table of 5 files, in Arrow batches of 7: nearly all users straddle."""
    rng = np.random.default_rng(0)
    n = 600
    user = rng.integers(0, 40, n)
    rows = pd.DataFrame(
        {
            "event_id": [f"e{i:04}" for i in range(n)],
            "data_date": date(2022, 5, 7),
            "user_id": user,
            "user_cohort": np.array(GROUPS)[user % 3],
            "item_cohort": rng.choice(["fresh", "known"], n),
            "tab": rng.integers(0, 9, n),
            "user_x": rng.integers(-8, 9, n) / 4,
            "item_x": rng.integers(-8, 9, n) / 4,
            "label_click": (rng.random(n) < np.where(user % 5, 0.3, 0)).astype(float),  # some never click
            "mask_click": rng.random(n) < 0.9,
            "label_seconds": rng.integers(0, 400, n) / 8,
            "mask_seconds": rng.random(n) < 0.7,
            "weight": rng.choice([0.5, 1.0, 4.0], n),
        }
    )
    rows.loc[~rows["mask_seconds"], "label_seconds"] = np.nan
    path = str(tmp_path_factory.mktemp("tables") / "examples")
    spark.createDataFrame(rows).repartition(5).write.format("delta").save(path)
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "7")
    yield with_cohort_axes(spark.read.format("delta").load(path), COHORTS).localCheckpoint()
    spark.conf.unset("spark.sql.execution.arrow.maxRecordsPerBatch")


def in_spark(examples: DataFrame, bundle: Bundle) -> dict[tuple[str, str, str], Any]:
    """(task, cohort, kind) -> state, as the workers and the merge of evaluation make it."""
    predict = model_predictor(str(bundle.path), [task.name for task in TASKS])
    states = for_model(examples, bundle, TASKS).mapInPandas(
        to_states(predict, "v", TASKS, EVALUATION.replicates), STATE_SCHEMA
    )
    rows = states.toPandas()
    assert len(rows) > 2 * len(rows.groupby(["task", "cohort", "kind"]))  # there is something to merge
    return {key: merge_states(key[2], own) for key, own in rows.groupby(["task", "cohort", "kind"])}


def in_one_process(rows: pd.DataFrame, bundle: Bundle) -> dict[tuple[str, str, str], Any]:
    """The same from all rows at once."""
    logits = calibrated_logits(str(bundle.path), rows)
    drawn = user_weights(rows["user_id"].to_numpy(), EVALUATION.replicates)
    found: dict[tuple[str, str, str], Any] = {}
    for cohort, is_member in cohorts_of(rows):
        for k, task in enumerate(TASKS):
            own = is_member & rows[f"mask_{task.name}"].to_numpy()
            label, weight = rows.loc[own, f"label_{task.name}"].to_numpy(), rows.loc[own, "weight"].to_numpy()
            values = (logits[own, k], label, weight, drawn[own])
            if task.kind == "regression":
                found[task.name, cohort, "regression"] = RegressionState.of(*values)
            else:
                found[task.name, cohort, "binary"] = CellState.of(*values)
                users = rows.loc[own, "user_id"].to_numpy()
                found[task.name, cohort, "within_users"] = GaucState.of(users, *values)
    return found


def assert_equal_states(found: Any, expected: Any) -> None:
    """Counts, bins and histograms exactly, other sums to 1e-12."""
    assert found.counts() == expected.counts()
    fields = {
        CellState: ("predicted", "losses", "predictions"),
        GaucState: ("won", "impressions"),
        RegressionState: ("sums",),
    }
    if isinstance(expected, CellState):
        np.testing.assert_array_equal(found.bins, expected.bins)
        np.testing.assert_array_equal(found.sums, expected.sums)
    for name in fields[type(expected)]:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12)


def test_states_over_a_delta_table_are_those_of_one_process(
    examples: DataFrame, shared_bottom: Bundle
) -> None:
    rows = for_model(examples, shared_bottom, TASKS).toPandas()
    expected = in_one_process(rows, shared_bottom)

    found = in_spark(examples, shared_bottom)

    cohorts = {cohort for _, cohort, _ in expected}
    assert {"all", "user:old", "item:fresh", "user:new|item:known"} <= cohorts
    assert found.keys() == expected.keys()
    for key, state in expected.items():
        assert_equal_states(found[key], state)


def test_torch_has_the_same_states_of_the_user_cohorts(examples: DataFrame, shared_bottom: Bundle) -> None:
    rows = for_model(examples, shared_bottom, TASKS).toPandas()
    logits = calibrated_logits(str(shared_bottom.path), rows)
    columns = [
        rows[[f"{part}_{task.name}" for task in TASKS]].to_numpy(dtype)
        for part, dtype in (("label", np.float64), ("mask", np.bool_))
    ]
    group = rows["user_cohort"].map({name: n for n, name in enumerate(GROUPS)}).to_numpy()
    on_device = DeviceStates(TASKS, len(GROUPS), torch.device("cpu"))
    on_device.add(
        *(
            torch.from_numpy(np.ascontiguousarray(x))
            for x in (logits, *columns, rows["weight"].to_numpy(), group)
        )
    )

    found = in_spark(examples, shared_bottom)

    for task, of_groups in zip(TASKS, on_device.over(Single()), strict=True):
        for name, state in zip(GROUPS, of_groups, strict=True):
            spark_state = found[task.name, f"user:{name}", task.kind]
            columns = ("sums", "losses", "predictions") if task.kind == "binary" else ("sums",)
            sample = {column: getattr(spark_state, column)[..., :1] for column in columns}
            of_sample = type(spark_state)(**(vars(spark_state) | sample))
            if isinstance(of_sample, CellState):
                of_sample = of_sample.in_fixed_bins()  # training's states have these for cells of any size
            assert_equal_states(of_sample, state)


def test_values_are_those_of_one_process_with_counts_and_intervals(
    examples: DataFrame, shared_bottom: Bundle
) -> None:
    rows = for_model(examples, shared_bottom, TASKS).toPandas()
    expected = in_one_process(rows, shared_bottom)

    cells = measure_model(examples, shared_bottom, TASKS, EVALUATION)

    assert {cell.model_version for cell in cells} == {"shared_bottom-1"}
    kinds = {"gauc": "within_users", "mse": "regression", "mae": "regression"}
    for cell in cells:
        state = expected[cell.task, cell.cohort, kinds.get(cell.metric, "binary")]
        value = state.value(cell.metric, EVALUATION.min_class_count)
        assert cell.value == (None if value is None else pytest.approx(value, rel=1e-12))
        assert {name: getattr(cell, name) for name in state.counts()} == state.counts()
        row = cell.to_row(DAYS[0], DAYS[-1])
        has_interval = cell.metric in ("auc", "gauc", "mse", "mae") and value is not None
        assert (row["low"] is not None) == has_interval
        if has_interval and cell.cohort == "all":
            assert row["low"] < row["value"] < row["high"]


def test_gauc_is_right_for_users_whose_rows_straddle_batches_and_tells_whom_it_skips(
    examples: DataFrame, shared_bottom: Bundle
) -> None:
    rows = for_model(examples, shared_bottom, TASKS).toPandas()
    rows["z"] = calibrated_logits(str(shared_bottom.path), rows)[:, 0]
    rows = rows[rows["mask_click"]]
    aucs, weights, skipped = [], [], 0
    for _, own in rows.groupby("user_id"):
        if own["label_click"].nunique() == 1:
            skipped += 1
        else:
            aucs.append(roc_auc_score(own["label_click"], own["z"], sample_weight=own["weight"]))
            weights.append(own["weight"].sum())
    assert rows.groupby("user_id").size().median() > 7  # a batch holds hardly any user as a whole

    (gauc,) = [
        cell
        for cell in measure_model(examples, shared_bottom, TASKS[:1], EVALUATION)
        if (cell.metric, cell.cohort) == ("gauc", "all")
    ]

    assert gauc.value == pytest.approx(np.average(aucs, weights=weights), rel=1e-12)
    assert (gauc.users, gauc.one_class_users) == (len(aucs), skipped)
    assert skipped >= 8


def test_gates_over_a_delta_table_are_those_of_one_process(examples: DataFrame, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "ple", "ple")
    rows = for_model(examples, bundle, ()).toPandas()
    group = rows["user_cohort"].map({name: n for n, name in enumerate(GROUPS)}).to_numpy()
    expected = gate_state(
        bundle.model(),
        torch.from_numpy(rows[["cat_tab"]].to_numpy(np.int64)),
        torch.from_numpy(rows[["dense_user_x", "dense_item_x"]].to_numpy(np.float32)),
        group,
        rows["weight"].to_numpy(),
        dict(cohorts_of(rows)),
    )

    found = evaluation.gate_state(examples, bundle)

    assert found.keys() == expected.keys()
    assert {"all", "user:old", "item:known"} <= {key.cohort for key in found}
    for key, sums in expected.items():
        assert found[key][:3] == sums[:3]  # rows, active rows, row weights
        assert found[key][3:] == pytest.approx(sums[3:], rel=1e-5)  # a softmax is not exact


def test_a_model_without_gates_has_none(examples: DataFrame, shared_bottom: Bundle) -> None:
    assert evaluation.gate_state(examples, shared_bottom) == {}


def test_a_gain_is_what_the_candidate_is_better_by() -> None:
    def cell(version: str, metric: str, value: float | None) -> MetricCell:
        replicates = () if value is None else (value - 0.01, value, value + 0.02)
        return MetricCell(version, "t", "all", metric, value, 1, 1, 1, 1, 1, replicates)

    cells = [
        *(cell("new", metric, value) for metric, value in (("auc", 0.75), ("mse", 3.0), ("gauc", None))),
        *(cell("old", metric, value) for metric, value in (("auc", 0.5), ("mse", 4.0), ("gauc", 0.5))),
        cell("new", "ece", 0.1),
        cell("old", "ece", 0.2),
    ]

    found = {gain.metric: gain.to_row(DAYS[0], DAYS[-1]) for gain in gains(cells, "new", "old")}

    assert {name: row["value"] for name, row in found.items()} == {
        "auc_gain": 0.25,
        "mse_gain": 1.0,  # a smaller error is a gain
        "gauc_gain": None,
    }
    assert found["mse_gain"]["low"] == pytest.approx(1.0)  # paired: both move together
    assert {row["baseline_version"] for row in found.values()} == {"old"}
    assert [*gains(cells, "new", None), *gains(cells, "new", "new")] == []


@pytest.mark.parametrize(
    ("by_cohort", "warned"),
    [
        ({"all": (0.5, 0.5), "user:new": (0.5, 0.5)}, ["all"]),
        ({"all": (0.7, 0.7), "user:new": (0.5, 0.5)}, ["user:new"]),
        ({"all": (0.5, 0.5, float("nan"))}, ["all"]),  # a replicate with a single class
        ({"all": (0.5, 0.51)}, []),  # by chance a half
        ({"all": ()}, []),  # too few of a class
    ],
)
def test_a_score_that_is_the_same_in_all_rows_is_a_warning(
    by_cohort: dict[str, tuple[float, ...]], warned: list[str]
) -> None:
    cells = [
        MetricCell(version, "click", cohort, "auc", values[0] if values else None, 1234, 9, 9, 9, 9, values)
        for version, found in (("new", by_cohort), ("old", {"all": (0.5, 0.5)}))
        for cohort, values in found.items()
    ]

    assert [*constant_scores(cells, "new")] == [
        f"task click has the same score in all 1,234 rows of cohort {cohort}" for cohort in warned
    ]
