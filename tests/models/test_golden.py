"""Golden losses: 20 steps of each architecture on a fixed seed and one thread (conformance 12).

`LAMPLIGHTER_GOLDEN=1 pytest tests/models/test_golden.py` rewrites the file for this minor version of
torch; the commit then says why the losses moved.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from core.model import Loss, Model, Optimiser
from core.schema import Task
from models.model import MultiTaskModel
from models.training.distributed import Single
from models.training.reader import Batch
from models.training.run_spec import FitSpec
from models.training.trainer import Trainer
from tests.models.conftest import TRUNKS

GOLDEN = Path(__file__).parent / "golden" / "losses.json"
VERSION = ".".join(torch.__version__.split(".")[:2])
TASKS = (
    Task(name="click", label="is_click = 1", kind="binary"),
    Task(name="play", label="play_seconds", kind="regression", weight=0.3, decay=0.9),
    Task(name="like", label="is_like = 1", kind="binary", weight=2.0),
)
ROWS, STEPS = 64, 20


class NoRows:
    """The trainer is handed its batches one by one."""

    def batches(self, batch_rows: int) -> Iterator[Any]:
        return iter(())

    def shuffled_batches(self, batch_rows: int, window: int, seed: int, epoch: int) -> Iterator[Any]:
        return iter(())


def batch_of(inputs: tuple[Tensor, Tensor, Tensor]) -> Batch:
    """Labels follow from the inputs; a third of the rows lies outside of `like`'s sample space."""
    ids, dense, group = inputs
    signal = dense.nan_to_num(nan=0.0)
    labels = torch.stack([signal[:, 0] > 1.5, signal[:, 1], signal[:, 2] > ids[:, 0]], dim=1).float()
    mask = torch.ones(ROWS, 3, dtype=torch.bool)
    mask[::3, 2] = False
    return Batch(ids, dense, labels, mask, torch.linspace(0.5, 1.5, ROWS), group)


def losses_of(model: MultiTaskModel, batch: Batch) -> list[float]:
    """Train on one batch by the step that training calls."""
    spec = FitSpec(
        model=Model(
            name="golden",
            architecture="ple",  # the model is given; nothing reads this
            trunk={},
            tower=(4,),
            loss=Loss(normalise="per_task", decay_per="step"),
            optimiser=Optimiser(learning_rate=0.01, batch_rows=ROWS, max_epochs=1, patience=1),
        ),
        tasks=TASKS,
        cohorts={"user_cohort": ("new", "low", "high")},
        seed=1,
    )
    trainer = Trainer(model, spec, NoRows(), NoRows(), Single())
    return [trainer.step(batch, epoch=0).loss.item() for _ in range(STEPS)]


@pytest.mark.parametrize("architecture", TRUNKS)
def test_twenty_steps_give_the_golden_losses(
    make_model: Callable[..., MultiTaskModel],
    make_batch: Callable[..., tuple[Tensor, Tensor, Tensor]],
    architecture: str,
) -> None:
    model = make_model(architecture, tuple(task.name for task in TASKS), seed=7)

    losses = losses_of(model, batch_of(make_batch(ROWS, seed=11)))

    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get("LAMPLIGHTER_GOLDEN") == "1":
        golden.setdefault(VERSION, {})[architecture] = losses
        GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")
    assert VERSION in golden, f"{GOLDEN.name} has no losses for torch {VERSION}; see this file's docstring"
    assert losses == pytest.approx(golden[VERSION][architecture], rel=1e-4)
    assert losses[-1] < 0.8 * losses[0]
