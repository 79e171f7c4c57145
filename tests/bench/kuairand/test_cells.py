"""What a final keeps of its test rows."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import log_loss as log_loss_of_sklearn
from sklearn.metrics import roc_auc_score

from bench.kuairand.cells import DRAWS, groups_of, to_cells, values_of
from core.schema import Task
from jobs.workers.synthetic.hashing import Ints
from models.metrics.bootstrap import user_weights
from models.training.reader import Rows

TASKS = tuple(Task(name=name, label=name, kind="binary") for name in ("click", "like"))
COHORTS = {"user_cohort": ("new", "old"), "item_cohort": ("new", "old")}
N = 600


@pytest.fixture
def rows() -> Rows:
    random = np.random.default_rng(0)
    return Rows(
        categorical=np.zeros((N, 0), dtype=np.int32),
        dense=np.zeros((N, 0), dtype=np.float32),
        labels=np.column_stack([random.random(N) < 0.4, np.arange(N) < 29]).astype(np.float32),
        mask=np.column_stack([np.arange(N) % 7 > 0, np.ones(N)]).astype(np.bool_),
        weight=random.choice([1.0, 2.0], N).astype(np.float32),
        user_group=random.integers(2, size=N).astype(np.uint8),
        item_group=random.integers(2, size=N).astype(np.uint8),
    )


@pytest.fixture
def users() -> Ints:
    return np.random.default_rng(1).integers(80, size=N)


@pytest.fixture
def logits() -> NDArray[np.float32]:
    return np.random.default_rng(2).standard_normal((N, 2)).round(1).astype(np.float32)  # many are equal


def test_auc_and_log_loss_are_those_of_the_cells_rows_in_each_draw_of_users(
    rows: Rows, users: Ints, logits: NDArray[np.float32]
) -> None:
    cells = to_cells(logits, rows, users, TASKS, groups_of(rows, COHORTS))

    own = (rows.user_group == 0) & rows.mask[:, 0]
    auc, loss = (values_of(cells, "click|new", measure) for measure in ("auc", "log_loss"))
    assert auc is not None
    assert loss is not None
    drawn = user_weights(users, DRAWS)[own]
    labels, p = rows.labels[own, 0], 1 / (1 + np.exp(-logits[own, 0].astype(float)))
    for place in (0, 1, 57, DRAWS):
        weight = rows.weight[own] * (1 if place == 0 else drawn[:, place - 1])
        assert auc[place] == pytest.approx(roc_auc_score(labels, p, sample_weight=weight), abs=6e-6)
        assert loss[place] == pytest.approx(log_loss_of_sklearn(labels, p, sample_weight=weight), abs=6e-6)


def test_cells_are_tasks_by_all_rows_user_cohorts_and_item_cohorts(
    rows: Rows, users: Ints, logits: NDArray[np.float32]
) -> None:
    groups = groups_of(rows, COHORTS)

    cells = to_cells(logits, rows, users, TASKS, groups)

    of = ["all", "new", "old", "new items", "old items"]
    assert list(cells) == [f"{task}|{group}" for task in ("click", "like") for group in of]
    assert (groups["new items"] == (rows.item_group == 0)).all()
    counts = {name: cells[f"click|{name}"]["positives"] for name in of}
    assert counts["all"] == int((rows.labels[:, 0] * rows.mask[:, 0]).sum())
    assert counts["all"] == counts["new"] + counts["old"] == counts["new items"] + counts["old items"]


def test_a_cell_of_too_few_positives_has_counts_and_no_measures(
    rows: Rows, users: Ints, logits: NDArray[np.float32]
) -> None:
    cells = to_cells(logits, rows, users, TASKS, groups_of(rows, COHORTS))

    assert cells["like|all"] == {"positives": 29, "negatives": N - 29}
    assert values_of(cells, "like|all", "auc") is None
