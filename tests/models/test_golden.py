"""Golden losses: 20 steps of each architecture on a fixed seed and one thread (conformance 12).

`LAMPLIGHTER_GOLDEN=1 pytest tests/models/test_golden.py` rewrites the file for this minor version of
torch; the commit then says why the losses moved.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.schema import Task
from models.model import MultiTaskModel
from models.training.losses import cell_counts, multi_task_loss
from tests.models.conftest import TRUNKS

GOLDEN = Path(__file__).parent / "golden" / "losses.json"
VERSION = ".".join(torch.__version__.split(".")[:2])
TASKS = (
    Task(name="click", label="is_click = 1", kind="binary"),
    Task(name="play", label="play_seconds", kind="regression", weight=0.3, decay=0.9),
    Task(name="like", label="is_like = 1", kind="binary", weight=2.0),
)
ROWS, STEPS = 64, 20


def losses_of(model: MultiTaskModel, batch: tuple[Tensor, Tensor, Tensor]) -> list[float]:
    """Train on one batch whose labels follow from its inputs; a third of the rows has no valid `like`."""
    ids, dense, group = batch
    signal = dense.nan_to_num(nan=0.0)
    labels = torch.stack([signal[:, 0] > 1.5, signal[:, 1], signal[:, 2] > ids[:, 0]], dim=1).float()
    mask = torch.ones(ROWS, 3, dtype=torch.bool)
    mask[::3, 2] = False
    weight = torch.linspace(0.5, 1.5, ROWS)
    counts = cell_counts(mask, weight, group, model.cell_groups, "per_task")
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for step in range(STEPS):
        optimiser.zero_grad()
        logits = model(ids, dense, group)
        loss = multi_task_loss(logits, labels, mask, weight, group, TASKS, counts, "per_task", epoch=step)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("architecture", TRUNKS)
def test_twenty_steps_give_the_golden_losses(
    make_model: Callable[..., MultiTaskModel],
    make_batch: Callable[..., tuple[Tensor, Tensor, Tensor]],
    architecture: str,
) -> None:
    model = make_model(architecture, tuple(task.name for task in TASKS), seed=7)

    losses = losses_of(model, make_batch(ROWS, seed=11))

    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get("LAMPLIGHTER_GOLDEN") == "1":
        golden.setdefault(VERSION, {})[architecture] = losses
        GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")
    assert VERSION in golden, f"{GOLDEN.name} has no losses for torch {VERSION}; see this file's docstring"
    assert losses == pytest.approx(golden[VERSION][architecture], rel=1e-4)
    assert losses[-1] < 0.8 * losses[0]
