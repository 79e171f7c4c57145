"""States in torch, over ranks, equal those in numpy of all rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.schema import Task
from models.metrics.binary import METRICS, CellState
from models.metrics.device_states import DeviceStates, metrics_by_cell
from models.metrics.regression import REGRESSION_METRICS, RegressionState
from models.training.distributed import Single

TASKS = (
    Task(name="click", label="is_click = 1", kind="binary"),
    Task(name="seconds", label="play_seconds", kind="regression"),
    Task(name="like", label="is_like = 1", kind="binary"),
)
GROUPS = ("new", "low")
CPU = torch.device("cpu")


@dataclass
class Rows:
    """logits, labels, mask (n, 3), weight, group (n,)."""

    logits: np.ndarray
    labels: np.ndarray
    mask: np.ndarray
    weight: np.ndarray
    group: np.ndarray

    def take(self, index: np.ndarray) -> tuple[Tensor, ...]:
        arrays = (self.logits, self.labels, self.mask, self.weight, self.group)
        return tuple(torch.from_numpy(values[index]) for values in arrays)


class Ranks(Single):
    """A group whose other ranks have these sums."""

    def __init__(self, others: list[Tensor]) -> None:
        super().__init__()
        self.others = others

    def all_reduce_sum(self, values: Tensor) -> Tensor:
        return torch.stack([values, *self.others]).sum(0)


def draw(n: int, seed: int) -> Rows:
    """Rows of any kind: outside of sample spaces with labels NaN, of weight 0, beyond the outermost bins."""
    rng = np.random.default_rng(seed)
    mask = rng.random((n, 3)) < 0.8
    labels = np.column_stack([rng.random(n) < 0.4, rng.gamma(2.0, 9.0, n), rng.random(n) < 0.1])
    return Rows(
        logits=rng.normal(0, rng.choice([0.01, 1, 15]), (n, 3)).astype(np.float32),
        labels=np.where(mask, labels, np.nan).astype(np.float32),
        mask=mask,
        weight=rng.choice(np.array([0, 0.25, 1, 3], np.float32), n),
        group=rng.integers(0, 2, n),
    )


def in_numpy(rows: Rows, k: int, group: int) -> Any:
    kept = rows.mask[:, k] & (rows.group == group)
    columns = (rows.logits[kept, k], rows.labels[kept, k], rows.weight[kept])
    kind = CellState if TASKS[k].kind == "binary" else RegressionState
    state = kind.of(*columns, np.ones((int(kept.sum()), 0), np.uint8))
    return state.in_fixed_bins() if isinstance(state, CellState) else state


def assert_equal(found: Any, expected: Any) -> None:
    """Counts, bins and sums of dyadic weights exactly, the other sums to 1e-12."""
    assert found.counts() == expected.counts()
    exact, close = (("bins", "sums"), ("predicted", "losses", "predictions"))
    if isinstance(expected, RegressionState):
        exact, close = (), ("sums",)
    for name in exact:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for name in close:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12, atol=1e-12)


@given(
    st.integers(0, 10_000),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=80),
)
@settings(max_examples=60)
def test_rows_on_any_ranks_in_any_batches_give_the_state_of_all_rows(
    seed: int, places: list[tuple[int, int]]
) -> None:
    rows = draw(len(places), seed)
    rank, batch = np.array(places).T
    ranks = [DeviceStates(TASKS, len(GROUPS), CPU) for _ in range(4)]
    for r, states in enumerate(ranks):
        for b in range(3):
            states.add(*rows.take(np.flatnonzero((rank == r) & (batch == b))))  # some have no row

    found = ranks[0].over(Ranks([states.sums for states in ranks[1:]]))

    for k in range(len(TASKS)):
        for group in range(len(GROUPS)):
            assert_equal(found[k][group], in_numpy(rows, k, group))


def test_metrics_are_those_of_a_tasks_rows_and_of_each_groups_rows() -> None:
    rows = draw(500, seed=3)
    states = DeviceStates(TASKS, len(GROUPS), CPU)
    states.add(*rows.take(np.arange(500)))

    found = metrics_by_cell(states.over(Single()), TASKS, GROUPS)

    assert list(found) == [
        name for task in TASKS for name in (task.name, *(f"{task.name}|{g}" for g in GROUPS))
    ]
    for k, task in enumerate(TASKS):
        cells = [in_numpy(rows, k, group) for group in (0, 1)]
        metrics = METRICS if task.kind == "binary" else REGRESSION_METRICS
        for name, state in ((task.name, cells[0].merge(cells[1])), (f"{task.name}|low", cells[1])):
            assert found[name] == {m: pytest.approx(state.value(m, 1), rel=1e-12) for m in metrics}


def test_a_cell_with_one_class_or_no_row_has_no_metric() -> None:
    states = DeviceStates(TASKS, len(GROUPS), CPU)
    one = torch.ones(1)
    states.add(torch.ones(1, 3), torch.ones(1, 3), torch.ones(1, 3), one, torch.zeros(1, dtype=torch.int64))

    found = metrics_by_cell(states.over(Single()), TASKS, GROUPS)

    assert found["click|new"]["auc"] is None
    assert found["seconds|new"] == {"mse": 0.0, "mae": 0.0}
    assert found["seconds|low"] == {"mse": None, "mae": None}


def test_a_logit_that_is_not_a_number_does_not_stop_the_count_of_the_others() -> None:
    states = DeviceStates(TASKS[:1], 1, CPU)
    z = torch.tensor([[torch.nan], [1.0], [torch.inf]])

    states.add(z, torch.tensor([[1.0], [0.0], [1.0]]), torch.ones(3, 1), torch.ones(3), torch.zeros(3).long())

    ((found,),) = states.over(Single())
    assert (found.positives, found.negatives) == (2, 1)
