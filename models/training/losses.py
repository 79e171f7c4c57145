"""Losses of all cells, exact over any number of ranks (Tang 2020, eq. 8-10).

One update, on each rank: count, add the counts up over ranks, then compute the loss and its gradient:

    counts = cell_counts(mask, weight, group, groups, normalise)
    all_reduce_sum(counts)                                # over ranks
    sums = cell_sums(logits, labels, mask, weight, group, groups, kinds)
    total_loss(sums, counts, task_weights(tasks, epoch), normalise, world_size).backward()
    average_gradients(...)                                # mean over ranks

The mean of the ranks' losses, and so of their gradients, is that of one rank with all rows. A
validation loss is the same without world_size: add up sums and counts over batches and ranks first.

Letters: B rows, K tasks, G groups, which are the combinations of cohorts that have cells of their own.
"""

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.schema import Task

Normalise = Literal["per_cell", "per_task", "global"]


def multi_task_loss(
    logits_BK: Tensor,
    labels_BK: Tensor,
    mask_BK: Tensor,
    weight_B: Tensor,
    group_B: Tensor,
    tasks: Sequence[Task],
    counts_KG: Tensor,
    normalise: Normalise,
    epoch: float = 0,
    world_size: int = 1,
) -> Tensor:
    """Return this rank's share of the total loss of one update, a scalar; see `total_loss`.

    Args:
        logits_BK: of each row's own cells; regression: the prediction itself.
        labels_BK: 0 or 1, or a value; anything, NaN too, where the mask is off.
        mask_BK: true where a row lies in the task's sample space.
        weight_B: of each row, 0 for padding.
        group_B: group of each row, int64.
        tasks: kinds, weights and decays.
        counts_KG: `cell_counts` of this update, added up over ranks; its width is G.
        normalise: as it was given to `cell_counts`.
        epoch: t of eq. 10.
        world_size: number of ranks whose gradients will be averaged.
    """
    sums_KG = cell_sums(logits_BK, labels_BK, mask_BK, weight_B, group_B, tasks, counts_KG.shape[1])
    return total_loss(sums_KG, counts_KG, task_weights(tasks, epoch).to(sums_KG), normalise, world_size)


def cell_counts(
    mask_BK: Tensor, weight_B: Tensor, group_B: Tensor, groups: int, normalise: Normalise
) -> Tensor:
    """Return this rank's denominators, (K, G): sums of weights of valid rows, for `global` their number."""
    valid_BK = mask_BK.to(weight_B) * weight_B[:, None]
    return _by_group((valid_BK != 0).to(weight_B) if normalise == "global" else valid_BK, group_B, groups)


def cell_sums(
    logits_BK: Tensor,
    labels_BK: Tensor,
    mask_BK: Tensor,
    weight_B: Tensor,
    group_B: Tensor,
    tasks: Sequence[Task],
    groups: int,
) -> Tensor:
    """Return this rank's weighted sum of losses of the valid rows of each cell, (K, G).

    Arguments as of `multi_task_loss`. Binary tasks: cross entropy from logits. Regression: squared error, or
    Huber's loss (half the squared error up to `huber`, linear beyond).
    """
    mask_BK = mask_BK.bool()
    # Labels outside of the sample space may be NaN, which would come back as gradient even times 0.
    labels_BK = torch.where(mask_BK, labels_BK, 0.0)
    losses = [
        _row_losses(task, z_B, y_B)
        for task, z_B, y_B in zip(tasks, logits_BK.unbind(1), labels_BK.unbind(1), strict=True)
    ]
    weighted_BK = torch.stack(losses, dim=1) * mask_BK * weight_B[:, None]
    return _by_group(weighted_BK, group_B, groups)


def total_loss(
    sums_KG: Tensor, counts_KG: Tensor, task_weights_K: Tensor, normalise: Normalise, world_size: int = 1
) -> Tensor:
    """Return the total loss, a scalar: the tasks' losses by their weights (eq. 8).

    Args:
        sums_KG: `cell_sums`, of this rank, or of all ranks when world_size is 1.
        counts_KG: `cell_counts` of all ranks.
        task_weights_K: w_k.
        normalise: as it was given to `cell_counts`.
        world_size: number of ranks over which the result, or its gradient, will be averaged.
    """
    losses_K = task_losses(sums_KG, counts_KG, task_weights_K, normalise)
    return world_size * (task_weights_K * losses_K).sum()


def task_losses(sums_KG: Tensor, counts_KG: Tensor, task_weights_K: Tensor, normalise: Normalise) -> Tensor:
    """Return L_k, (K,), from sums and the counts of all ranks; arguments as of `total_loss`.

    per_cell: the sum of the cells' means. per_task: the mean over the task's valid rows of all groups.
    global: the sum over the task's rows, divided by the number of entries of all tasks with w v d != 0, so
    that large groups and tasks weigh more (published code of Liu et al., CIKM 2022).
    Without any entry to count the loss is 0, with gradients of 0.
    """
    if normalise == "per_cell":
        return _ratio(sums_KG, counts_KG).sum(1)
    if normalise == "per_task":
        return _ratio(sums_KG.sum(1), counts_KG.sum(1))
    entries = counts_KG.sum(1)[task_weights_K != 0].sum()
    return _ratio(sums_KG.sum(1), entries.expand(len(sums_KG)))


def mean_over_rows(values_B: Tensor, weight_B: Tensor, total: Tensor, world_size: int = 1) -> Tensor:
    """Return this rank's share of the weighted mean of all ranks' rows, a scalar; 0 where all weights are 0.

    Args:
        values_B: of this rank's rows.
        weight_B: of these, 0 for padding.
        total: sum of the weights of all ranks, a scalar.
        world_size: number of ranks over which the result, or its gradient, will be averaged.
    """
    return world_size * _ratio((values_B * weight_B).sum(), total)


class UncertaintyWeighting(nn.Module):
    """Weights of tasks learnt from their noise (Kendall, Gal, Cipolla: CVPR 2018, eq. 7 and 10).

    With s_k = log sigma_k^2, which starts at 0, a task adds w_k (exp(-s_k) L_k + s_k / 2) if it is binary
    and w_k (exp(-s_k) L_k / 2 + s_k / 2) if it is a regression.

    Differences from the paper: the tasks' own weights stay as factors; a task without a row in an update
    adds nothing, or its s_k would fall without any evidence.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        super().__init__()
        self.log_variance_K = nn.Parameter(torch.zeros(len(tasks)))
        self.register_buffer(
            "factor_K", torch.tensor([0.5 if t.kind == "regression" else 1.0 for t in tasks])
        )

    def forward(
        self,
        sums_KG: Tensor,
        counts_KG: Tensor,
        task_weights_K: Tensor,
        normalise: Normalise,
        world_size: int = 1,
    ) -> Tensor:
        """Return the total loss, a scalar; arguments as of `total_loss`."""
        losses_K = world_size * task_losses(sums_KG, counts_KG, task_weights_K, normalise)
        noise_K = 0.5 * self.log_variance_K * (counts_KG.sum(1) > 0)
        factor_K = cast(Tensor, self.factor_K)
        return (task_weights_K * (factor_K * torch.exp(-self.log_variance_K) * losses_K + noise_K)).sum()

    def at_best_noise(
        self, sums_KG: Tensor, counts_KG: Tensor, task_weights_K: Tensor, normalise: Normalise
    ) -> Tensor:
        """Return the total loss, a scalar, at the s_k that make it smallest, by which epochs are compared.

        A task adds w_k (1 + log(2 L_k)) / 2 if it is binary and w_k (1 + log L_k) / 2 if it is a regression:
        the order of epochs depends neither on the scale of a task's loss nor on the learnt s_k.
        """
        losses_K = task_losses(sums_KG, counts_KG, task_weights_K, normalise)
        noise_K = 0.5 * (1 + torch.log(2 * cast(Tensor, self.factor_K) * losses_K.clamp(min=1e-12)))
        return (task_weights_K * noise_K * (counts_KG.sum(1) > 0)).sum()


def task_weights(tasks: Sequence[Task], t: float) -> Tensor:
    """Return w_k at epoch, or step, t, (K,): w_k0 * gamma_k ** t (eq. 10)."""
    return torch.tensor([task.weight * task.decay**t for task in tasks])


def _row_losses(task: Task, z_B: Tensor, y_B: Tensor) -> Tensor:
    if task.kind == "binary":
        return F.binary_cross_entropy_with_logits(z_B, y_B, reduction="none")
    if task.huber is None:
        return F.mse_loss(z_B, y_B, reduction="none")
    return F.huber_loss(z_B, y_B, reduction="none", delta=task.huber)


def _by_group(values_BK: Tensor, group_B: Tensor, groups: int) -> Tensor:
    """Sum values by group, (K, G); with one group the rows' groups do not matter."""
    if groups == 1:
        return values_BK.sum(0)[:, None]
    # A product with zeros and ones: in a fixed order, which scatters do not keep on every device.
    return values_BK.T @ F.one_hot(group_B, groups).to(values_BK)


def _ratio(sums: Tensor, counts: Tensor) -> Tensor:
    """Divide; where the divisor is 0 the result is 0, and so is the gradient, not missing."""
    is_empty = counts == 0
    return torch.where(is_empty, 0.0, sums / counts.masked_fill(is_empty, 1.0))
