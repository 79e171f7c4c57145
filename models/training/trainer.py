"""The training loop: the same on one rank and on many.

Letters: B rows of a batch, K tasks, G groups (combinations of the cohorts that are facets of the model).
"""

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import LamplighterError
from models.metrics.device_states import DeviceStates, metrics_by_cell
from models.model import MultiTaskModel
from models.modules.trunk import CELL
from models.training import losses
from models.training.averaging import Average
from models.training.distributed import Distributed
from models.training.optimisers import Optimisers
from models.training.reader import Batch, Rows
from models.training.run_spec import FitSpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Epoch:
    """One row of a training history.

    Attributes:
        epoch: from 1.
        train_loss: mean over the epoch, of the model before each step.
        validation_loss: of the averaged model after the epoch; weights of tasks as at the start, so that
            epochs can be compared. Where weights of tasks are learnt, both losses are
            `UncertaintyWeighting.at_best_noise`.
        validation_metrics: task, and task|user group -> metric -> value over all validation rows, of logits
            before calibration; None for a single class, or for no row.
        rows_per_second: training rows of all ranks, padding not counted, validation time included.
        is_best: no earlier epoch had a smaller or equal validation loss.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    validation_metrics: dict[str, dict[str, float | None]]
    rows_per_second: float
    is_best: bool

    @property
    def validation_auc(self) -> dict[str, float | None]:
        """Task -> AUC; None for a regression, too."""
        by_cell = self.validation_metrics.items()
        return {cell: metrics.get("auc") for cell, metrics in by_cell if CELL not in cell}


class RowSource(Protocol):
    """One rank's share of a split: `models.training.reader.Blocks`, or rows in memory."""

    def batches(self, batch_rows: int) -> Iterator[Rows]:
        """Yield the rows in stored order."""
        ...

    def shuffled_batches(self, batch_rows: int, window: int, seed: int, epoch: int) -> Iterator[Rows]:
        """Yield the rows of one epoch in random order."""
        ...


class Trainer:
    """Train one model on this rank's share of the blocks, in step with the other ranks.

    Args:
        model: on the group's device; every rank starts from rank 0's weights.
        spec: of the run.
        train: this rank's share of the training split.
        validation: this rank's share of the validation split.
        ranks: the group.

    Attributes:
        average: of the weights of the last steps.

    Raises:
        ConfigError: the trunk cannot learn tasks of these kinds.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        spec: FitSpec,
        train: RowSource,
        validation: RowSource,
        ranks: Distributed,
    ) -> None:
        model.network.trunk.check(spec.tasks)
        self.model, self.spec, self.ranks = model, spec, ranks
        self.train, self.validation = train, validation
        self.tasks, self.groups = spec.tasks, model.cell_groups
        self.normalise = spec.model.loss.normalise
        self.optimiser = spec.model.optimiser
        self.weighting = losses.UncertaintyWeighting(spec.tasks).to(ranks.device)
        is_learnt = spec.model.loss.weighting == "uncertainty"
        ranks.broadcast(model)
        self._optimisers = Optimisers(
            model, list(self.weighting.parameters()) if is_learnt else [], self.optimiser
        )
        self.average = Average(model, self.optimiser.average_last)
        self._steps = 0

    def fit(self) -> list[Epoch]:
        """Train until the validation loss has not fallen for `patience` epochs; keep the best weights.

        Validated and kept is the average of the weights (models/training/averaging.py).

        Raises:
            LamplighterError: a loss is not finite.
        """
        history: list[Epoch] = []
        best_loss, waited = math.inf, 0
        best_weights: dict[str, Tensor] = {}
        for epoch in range(self.optimiser.max_epochs):
            started = time.monotonic()
            train_loss, rows = self.train_epoch(epoch)
            with self.average.applied():
                validation_loss, metrics = self._validate()
                self._check_finite(epoch, train_loss, validation_loss)
                self.model.network.trunk.after_epoch()
                if is_best := validation_loss < best_loss:
                    best_weights = {name: value.clone() for name, value in self.model.state_dict().items()}
            rate = rows / (time.monotonic() - started)
            history.append(Epoch(epoch + 1, train_loss, validation_loss, metrics, rate, is_best))
            if self.ranks.rank == 0:
                logger.info(
                    "epoch %d/%d train %.4f validation %.4f (%s rows/s)",
                    epoch + 1, self.optimiser.max_epochs, train_loss, validation_loss, f"{rate:,.0f}",
                )  # fmt: skip
            if is_best:
                best_loss, waited = validation_loss, 0
            elif (waited := waited + 1) >= self.optimiser.patience:
                break
        self.model.load_state_dict(best_weights)
        return history

    def predict_validation(self) -> "Predictions":
        """Return logits and labels of all ranks' validation rows, on every rank.

        Cost: 4 (3 K + 2) bytes per validation row in the memory of each rank.
        """
        parts = [_side_by_side(rows, logits) for rows, _, logits in self._validation_logits()]
        return Predictions.of(self.ranks.all_gather(np.concatenate(parts)), len(self.tasks))

    def step(self, batch: Batch, epoch: int) -> "Update":
        """Take one step of all ranks on one batch each.

        Args:
            batch: of this rank, on its device.
            epoch: from 0; weights of tasks decay by it unless they decay by step.
        """
        own_KG = self._counts(batch)
        counts_KG = self.ranks.all_reduce_sum(own_KG)
        logits_BK = self.model(batch.categorical, batch.dense, batch.group)
        sums_KG = self._sums(logits_BK, batch)
        loss = self._total_loss(sums_KG, counts_KG, epoch) + self._penalty(logits_BK, batch.weight)
        self._optimisers.clear()
        sums_KG.retain_grad()
        loss.backward()
        self._optimisers.average(self.ranks)
        self.model.network.trunk.before_step(cast(Tensor, sums_KG.grad) / self.ranks.size)
        self._optimisers.step()
        self.average.after_step()
        self._steps += 1
        return Update(loss.detach(), sums_KG.detach(), own_KG)

    def train_epoch(self, epoch: int) -> tuple[float, int]:
        """Make one pass, the first is epoch 0; return the mean loss and the number of rows of all ranks."""
        self.model.train()
        totals = _Totals(len(self.tasks), self.groups)
        batches = self.train.shuffled_batches(
            self.optimiser.batch_rows, self.spec.shuffle_blocks, self.spec.seed, epoch
        )
        for batch in map(self._on_device, batches):
            update = self.step(batch, epoch)
            totals.add(update.sums, update.counts, batch.weight)
        return self._mean_loss(totals)

    def _validate(self) -> tuple[float, dict[str, dict[str, float | None]]]:
        """Return the exact validation loss over all ranks, and metrics by task and user cohort."""
        totals = _Totals(len(self.tasks), self.groups)
        cohorts = self.spec.cohorts["user_cohort"]
        states = DeviceStates(self.tasks, len(cohorts), self.ranks.device)
        for rows, batch, logits_BK in self._validation_logits():
            totals.add(self._sums(logits_BK, batch), self._counts(batch), batch.weight)
            cohort_B = torch.from_numpy(rows.user_group.astype(np.int64)).to(self.ranks.device)
            states.add(logits_BK, batch.labels, batch.mask, batch.weight, cohort_B)
        metrics = metrics_by_cell(states.over(self.ranks), self.tasks, cohorts)
        return self._mean_loss(totals)[0], metrics

    def _validation_logits(self) -> Iterator[tuple[Rows, Batch, Tensor]]:
        self.model.eval()
        for rows in self.validation.batches(self.optimiser.batch_rows):
            batch = self._on_device(rows)
            with torch.inference_mode():
                logits_BK = self.model(batch.categorical, batch.dense, batch.group)
            yield rows, batch, logits_BK

    def _on_device(self, rows: Rows) -> Batch:
        return Batch.of(rows, self.model.group_of(rows.user_group, rows.item_group), self.ranks.device)

    def _counts(self, batch: Batch) -> Tensor:
        return losses.cell_counts(batch.mask, batch.weight, batch.group, self.groups, self.normalise)

    def _sums(self, logits_BK: Tensor, batch: Batch) -> Tensor:
        return losses.cell_sums(
            logits_BK, batch.labels, batch.mask, batch.weight, batch.group, self.tasks, self.groups
        )

    def _total_loss(self, sums_KG: Tensor, counts_KG: Tensor, epoch: int) -> Tensor:
        """Return this rank's share of the loss of one update."""
        loss = self.spec.model.loss
        weights_K = losses.task_weights(self.tasks, epoch if loss.decay_per == "epoch" else self._steps)
        total = self.weighting if loss.weighting == "uncertainty" else losses.total_loss
        return total(sums_KG, counts_KG, weights_K.to(sums_KG), self.normalise, self.ranks.size)

    def _penalty(self, logits_BK: Tensor, weight_B: Tensor) -> Tensor:
        """Return this rank's share of what the trunk adds to the loss of one update."""
        trunk = self.model.network.trunk
        penalty = logits_BK.new_zeros(())
        if (of_update := trunk.penalty()) is not None:
            penalty = penalty + of_update  # the same on every rank, so the mean over ranks is, too
        if (of_rows_B := trunk.row_penalty(logits_BK)) is not None:
            total = self.ranks.all_reduce_sum(weight_B.sum())
            penalty = penalty + losses.mean_over_rows(of_rows_B, weight_B, total, self.ranks.size)
        return penalty

    def _mean_loss(self, totals: "_Totals") -> tuple[float, int]:
        """Return the loss by which epochs are compared, and the rows of all ranks; weights as at epoch 0."""
        flat = torch.cat([totals.sums_KG.flatten(), totals.counts_KG.flatten(), totals.rows])
        flat = self.ranks.all_reduce_sum(flat.to(self.ranks.device)).cpu()
        cells = totals.sums_KG.numel()
        sums, counts, rows = flat[:cells], flat[cells:-1], flat[-1]
        weights_K = losses.task_weights(self.tasks, 0).to(sums)
        shape = totals.sums_KG.shape
        is_learnt = self.spec.model.loss.weighting == "uncertainty"
        total = self.weighting.at_best_noise if is_learnt else losses.total_loss
        loss = total(sums.view(shape), counts.view(shape), weights_K, self.normalise)
        return float(loss), int(rows)

    def _check_finite(self, epoch: int, train_loss: float, validation_loss: float) -> None:
        if not (math.isfinite(train_loss) and math.isfinite(validation_loss)):
            raise LamplighterError(
                f"epoch {epoch + 1}: train loss {train_loss}, validation loss {validation_loss}, finite ones "
                f"are expected; lower model.optimiser.learning_rate ({self.optimiser.learning_rate} now), or "
                "look for extreme values in the dense columns"
            )


class Update(NamedTuple):
    """What one step was made from.

    Attributes:
        loss: this rank's share of the loss before the step, penalties of the trunk included; the mean over
            ranks is the loss of the update.
        sums: of this rank's losses by cell, (K, G).
        counts: this rank's denominators, (K, G).
    """

    loss: Tensor
    sums: Tensor
    counts: Tensor


class _Totals:
    """Sums and counts of losses over batches, in float64 so that long epochs stay exact."""

    def __init__(self, tasks: int, groups: int) -> None:
        self.sums_KG = torch.zeros(tasks, groups, dtype=torch.float64)
        self.counts_KG = torch.zeros(tasks, groups, dtype=torch.float64)
        self.rows = torch.zeros(1, dtype=torch.float64)

    def add(self, sums_KG: Tensor, counts_KG: Tensor, weight_B: Tensor) -> None:
        self.sums_KG += sums_KG.double().cpu()
        self.counts_KG += counts_KG.double().cpu()
        self.rows += (weight_B > 0).sum().double().cpu()


@dataclass(frozen=True)
class Predictions:
    """Validation rows of all ranks: logits, labels, mask (n, K); weight, user_group (n,). No padding."""

    logits: NDArray[np.float32]
    labels: NDArray[np.float32]
    mask: NDArray[np.bool_]
    weight: NDArray[np.float32]
    user_group: NDArray[np.int64]

    @staticmethod
    def of(packed: NDArray[np.float32], tasks: int) -> "Predictions":
        """Split the columns of `_side_by_side`, and drop padding."""
        packed = packed[packed[:, 3 * tasks] > 0]
        logits, labels, mask, rest = np.split(packed, [tasks, 2 * tasks, 3 * tasks], axis=1)
        return Predictions(logits, labels, mask > 0, rest[:, 0], rest[:, 1].astype(np.int64))


def _side_by_side(rows: Rows, logits_BK: Tensor) -> NDArray[np.float32]:
    """Concatenate a batch's columns to one array, (B, 3 K + 2), of equal width on all ranks."""
    by_row = (rows.weight[:, None], rows.user_group[:, None])
    columns = (logits_BK.cpu().numpy(), rows.labels, rows.mask, *by_row)
    return np.concatenate([np.asarray(column, dtype=np.float32) for column in columns], axis=1)
