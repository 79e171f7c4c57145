"""Our PLE in the sizes of bench/step_data.py, one training step at a time."""

import torch
from torch import Tensor

from bench.step_data import COLUMNS, DIM, EXPERTS, IDS, ROWS, TASKS, TOWER, WIDTH, Rows
from core.encoder import CategoricalEncoding, DenseEncoding, Encoder
from core.model import Loss, Model, Optimiser
from core.schema import Task
from models.model import build_model
from models.training import losses
from models.training.distributed import Single
from models.training.optimisers import Optimisers

_TASKS = tuple(Task(name=f"t{n}", label="x", kind="binary") for n in range(TASKS))


def to_encoder() -> Encoder:
    """Return an encoder of the columns, all of the context's side."""
    return Encoder(
        categorical=tuple(
            CategoricalEncoding(column=f"c{n}", kind="hash", size=IDS, dim=DIM) for n in range(COLUMNS)
        ),
        dense=tuple(
            DenseEncoding(column=f"d{n}", transform="identity", mean=0.0, std=1.0) for n in range(COLUMNS)
        ),
    )


def to_model() -> Model:
    """Return the model configuration."""
    level = {"task_experts": EXPERTS, "shared_experts": EXPERTS, "expert_widths": [WIDTH]}
    return Model(
        name="ple",
        architecture="ple",
        trunk={"levels": [level, level]},
        tower=TOWER,
        loss=Loss(normalise="per_task"),
        optimiser=Optimiser(learning_rate=0.001, batch_rows=ROWS, max_epochs=1, patience=1),
    )


class Ple:
    """A model in training, on a device."""

    def __init__(self, seed: int, device: str = "cpu") -> None:
        names = [task.name for task in _TASKS]
        self.device = torch.device(device)
        self.model = build_model(to_model(), to_encoder(), names, {}, seed).to(self.device)
        self.optimisers = Optimisers(self.model, [], to_model().optimiser)

    def train(self, rows: Rows) -> None:
        """Do one training step."""
        loss = self._loss(rows)
        self.optimisers.clear()
        loss.backward()
        self.optimisers.average(Single())
        self.optimisers.step()

    def predict(self, rows: Rows) -> None:
        """Do one forward pass."""
        with torch.inference_mode():
            self._logits(rows)

    def loss(self, rows: Rows) -> float:
        """Return the loss, mean over tasks."""
        with torch.inference_mode():
            return float(self._loss(rows)) / TASKS

    def _loss(self, rows: Rows) -> Tensor:
        labels = torch.from_numpy(rows.labels).to(self.device)
        mask = torch.ones_like(labels, dtype=torch.bool)
        weight, group = torch.ones_like(labels[:, 0]), torch.zeros_like(labels[:, 0], dtype=torch.int64)
        counts = losses.cell_counts(mask, weight, group, 1, "per_task")
        logits = self._logits(rows).float()
        return losses.multi_task_loss(logits, labels, mask, weight, group, _TASKS, counts, "per_task")

    def _logits(self, rows: Rows) -> Tensor:
        ids, dense = (torch.from_numpy(part).to(self.device) for part in (rows.ids, rows.dense))
        logits: Tensor = self.model(ids, dense, torch.zeros_like(ids[:, 0]))
        return logits
