"""One training on rows in memory, by the trainer of models/, and its predictions on held-out rows."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from bench.memory import MemoryRows
from core.encoder import Encoder
from core.model import Model
from core.schema import Task
from models.model import MultiTaskModel, build_model
from models.training.distributed import Single
from models.training.reader import Batch, Rows
from models.training.run_spec import FitSpec
from models.training.trainer import Trainer

Build = Callable[[Model, Encoder, Sequence[str], Mapping[str, Sequence[str]], int], MultiTaskModel]
"""As `models.model.build_model`."""
ONE_COHORT: dict[str, tuple[str, ...]] = {"user_cohort": ("all",)}
"""Cohorts of data that have none: metrics want at least one group."""


@dataclass(frozen=True)
class Dataset:
    """The rows of a training, and what describes them."""

    encoder: Encoder
    tasks: tuple[Task, ...]
    cohorts: dict[str, tuple[str, ...]]
    train: Rows
    validation: Rows


@dataclass(frozen=True)
class Fit:
    """A trained model, with its best epoch's weights, and how it went."""

    model: MultiTaskModel
    epochs: int
    best_epoch: int
    validation_loss: float
    validation_auc: Mapping[str, float | None]
    seconds: float


def fit(model: Model, data: Dataset, seed: int, build: Build = build_model) -> Fit:
    """Train what `build` makes until the validation loss falls no more; the best epoch's weights stay."""
    torch.manual_seed(seed)
    began = time.perf_counter()
    network = build(model, data.encoder, [task.name for task in data.tasks], data.cohorts, seed)
    spec = FitSpec(model=model, tasks=data.tasks, cohorts=data.cohorts, seed=seed)
    trainer = Trainer(network, spec, MemoryRows(data.train), MemoryRows(data.validation), Single())
    history = trainer.fit()
    best = [row for row in history if row.is_best][-1]
    return Fit(
        model=network.eval(),
        epochs=len(history),
        best_epoch=best.epoch,
        validation_loss=best.validation_loss,
        validation_auc=best.validation_auc,
        seconds=round(time.perf_counter() - began, 1),
    )


def predict(model: MultiTaskModel, rows: Rows, batch_rows: int = 8192) -> NDArray[np.float32]:
    """Return logits of rows, (n, K)."""
    parts = []
    with torch.inference_mode():
        for part in MemoryRows(rows).batches(batch_rows):
            group = model.group_of(part.user_group, part.item_group)
            batch = Batch.of(part, group, torch.device("cpu"))
            parts.append(model(batch.categorical, batch.dense, batch.group).numpy())
    return np.concatenate(parts)


def auc_by_task(logits: NDArray[Any], rows: Rows, tasks: Sequence[Task]) -> dict[str, float]:
    """Return the rank AUC of each binary task on its valid rows."""
    found = {}
    for k, task in enumerate(tasks):
        if task.kind == "binary":
            valid = rows.mask[:, k]
            found[task.name] = float(roc_auc_score(rows.labels[valid, k] > 0.5, logits[valid, k]))
    return found


def error_by_task(predictions: NDArray[Any], rows: Rows, tasks: Sequence[Task]) -> dict[str, float]:
    """Return the mean squared error of each regression task on its valid rows."""
    return {
        task.name: float(np.square(predictions[rows.mask[:, k], k] - rows.labels[rows.mask[:, k], k]).mean())
        for k, task in enumerate(tasks)
        if task.kind == "regression"
    }


def trunk_parameters(model: MultiTaskModel) -> int:
    """Return the number of parameters above the input layer: trunk and towers."""
    return sum(parameter.numel() for parameter in model.network.parameters())
