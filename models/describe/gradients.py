"""Whose rows move which module: each user cohort's part of the gradient, exactly.

The loss of an update is a sum over rows with the denominators of all rows (models/training/losses.py). So is
its gradient: g is the sum over cohorts c of g_c, the gradient of c's rows with the denominators of all. All
rows given count as one update, so nothing depends on how they are cut into batches. Of a group of parameters:

    norm share   |g_c| / sum over cohorts d of |g_d|, to be read beside the share of the rows
    cosine       of g_c and g - g_c. Below 0 a step down the gradient of all others raises the cohort's loss:
                 a conflict (Yu et al., "Gradient Surgery for Multi-Task Learning", NeurIPS 2020, def. 1)
    noise        |a - b|^2 / |g_c|^2, where a is of the first half of the cohort's rows and b of the second

The norm of a sum over few rows is too large by their noise. Where halves are drawn alike, |a - b|^2 is in
expectation the part of |g_c|^2 that is due to which rows were drawn. Near 1 the gradient has no direction
that other rows would share; then its norm share and its cosine say nothing.

What they do not say:
    1. On the rows of training g goes to 0 as the loss becomes stationary, so g_c goes to -(g - g_c) and every
       cosine to -1, whatever cohorts have in common. Rows that training has not seen do not have this fault.
    2. A gradient is not a step. Adam divides by the root of its mean square, number by number: a module that
       only few rows reach moves as far as the others do.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.describe.module_groups import ModuleGroup, module_groups
from models.model import MultiTaskModel
from models.training import losses
from models.training.reader import Batch, Rows
from models.training.run_spec import FitSpec

CohortGradients = dict[str, dict[str, Tensor]]
"""User cohort -> parameter -> gradients of the first and the second half of its rows, (2, shape), float64."""


@dataclass(frozen=True)
class GradientShare:
    """What one user cohort adds to the gradient of one group of parameters; see above.

    Attributes:
        group: the parameters.
        cohort: of the rows.
        numbers: in the group.
        row_share: of the cohort among rows of weight above 0; 0 without any.
        norm: |g_c|.
        norm_share: None where no cohort has a gradient.
        cosine: None where the cohort, or the sum of all others, has none.
        noise: None where the cohort has none.
    """

    group: ModuleGroup
    cohort: str
    numbers: int
    row_share: float
    norm: float
    norm_share: float | None
    cosine: float | None
    noise: float | None


def gradient_shares(model: MultiTaskModel, spec: FitSpec, rows: Rows) -> list[GradientShare]:
    """Return what each user cohort adds to each group's gradient, groups in the order of the forward pass.

    Arguments as of `cohort_gradients`.
    """
    gradients = cohort_gradients(model, spec, rows)
    counted = np.bincount(rows.user_group[rows.weight > 0], minlength=len(gradients))
    row_shares = dict(zip(gradients, counted / max(counted.sum(), 1), strict=True))
    found: list[GradientShare] = []
    for group in module_groups(model, spec.cohorts["user_cohort"]):
        halves = {
            cohort: torch.cat([of_cohort[name].flatten(1) for name in group.parameters], dim=1)
            for cohort, of_cohort in gradients.items()
        }
        found += _shares(group, halves, row_shares)
    return found


def cohort_gradients(
    model: MultiTaskModel, spec: FitSpec, rows: Rows, batch_rows: int = 8192
) -> CohortGradients:
    """Return the parts of the gradient of one update with all rows; they add up to it.

    The loss is the trainer's, with weights of tasks as at the start. Left out are what a trunk adds whatever
    the rows are (`Trunk.penalty`) and weight decay, which are of no cohort, and id dropout.

    Cost: a forward and a backward pass of all rows; 16 bytes per cohort and number of the model.

    Args:
        model: its mode and its own gradients stay as they are.
        spec: of the training: tasks, loss, user cohorts.
        rows: those of one user should stand together, so that at most one user is in both halves.
        batch_rows: of one pass.
    """
    loss = _Loss(model, spec, rows)
    is_training = model.training
    model.eval()
    try:
        return {
            cohort: loss.gradients(np.array_split(np.flatnonzero(rows.user_group == place), 2), batch_rows)
            for place, cohort in enumerate(spec.cohorts["user_cohort"])
        }
    finally:
        model.train(is_training)


class _Loss:
    """The loss of one update with all rows, as a sum over any parts of them."""

    def __init__(self, model: MultiTaskModel, spec: FitSpec, rows: Rows) -> None:
        self.model, self.spec, self.rows = model, spec, rows
        self.device = next(model.parameters()).device
        self.weights_K = losses.task_weights(spec.tasks, 0).to(self.device)
        is_learnt = spec.model.loss.weighting == "uncertainty"
        learnt = losses.UncertaintyWeighting(spec.tasks).to(self.device)
        self.total = learnt if is_learnt else losses.total_loss
        everyone = self._batch(np.arange(len(rows)))
        self.row_weight = everyone.weight.sum()
        self.counts_KG = losses.cell_counts(
            everyone.mask, everyone.weight, everyone.group, model.cell_groups, spec.model.loss.normalise
        )

    def gradients(self, parts: Sequence[NDArray[np.int64]], batch_rows: int) -> dict[str, Tensor]:
        """Return parameter -> gradient of each part's share of the loss, (parts, its shape), float64."""
        names, parameters = zip(*self.model.named_parameters(), strict=True)
        sums = [p.new_zeros(len(parts), *p.shape, dtype=torch.float64) for p in parameters]
        for place, index in enumerate(parts):
            for start in range(0, len(index), batch_rows):
                share = self._share(self._batch(index[start : start + batch_rows]))
                found = torch.autograd.grad(share, parameters, allow_unused=True)
                for total, gradient in zip(sums, found, strict=True):
                    if gradient is not None:
                        total[place] += gradient.to_dense() if gradient.is_sparse else gradient
        return dict(zip(names, sums, strict=True))

    def _share(self, batch: Batch) -> Tensor:
        logits_BK = self.model(batch.categorical, batch.dense, batch.group)
        rows = (batch.labels, batch.mask, batch.weight, batch.group)
        sums_KG = losses.cell_sums(logits_BK, *rows, self.spec.tasks, self.model.cell_groups)
        share: Tensor = self.total(sums_KG, self.counts_KG, self.weights_K, self.spec.model.loss.normalise)
        of_rows_B = self.model.network.trunk.row_penalty(logits_BK)
        if of_rows_B is None:
            return share
        return share + losses.mean_over_rows(of_rows_B, batch.weight, self.row_weight)

    def _batch(self, index: NDArray[np.int64]) -> Batch:
        rows = self.rows.take(index)
        return Batch.of(rows, self.model.group_of(rows.user_group, rows.item_group), self.device)


def _shares(
    group: ModuleGroup, halves: Mapping[str, Tensor], row_shares: Mapping[str, float]
) -> Iterator[GradientShare]:
    """Yield each cohort's share from the gradients of its halves, (2, numbers)."""
    own = {cohort: of_halves.sum(0) for cohort, of_halves in halves.items()}
    norms = {cohort: float(gradient.norm()) for cohort, gradient in own.items()}
    for cohort, (first, second) in halves.items():
        # Not g - g_c: where others have nothing it would leave a rounding error in place of 0.
        rest = sum((gradient for other, gradient in own.items() if other != cohort), torch.zeros_like(first))
        norm, product = norms[cohort], norms[cohort] * float(rest.norm())
        yield GradientShare(
            group=group,
            cohort=cohort,
            numbers=len(first),
            row_share=float(row_shares[cohort]),
            norm=norm,
            norm_share=norm / sum(norms.values()) if any(norms.values()) else None,
            cosine=float(own[cohort] @ rest) / product if product else None,
            noise=float((first - second).square().sum()) / norm**2 if norm else None,
        )
