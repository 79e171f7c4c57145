"""The states of models/metrics/binary.py and models/metrics/regression.py in torch, summed over ranks.

For validation during training, in fixed bins whatever a cell's size: the states stay on the device, and after
one sum over ranks every rank has those of all rows. Of the sample only; evaluation adds replicates.

Letters: B rows, K tasks, G user groups, E entries of the batch that count.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from core.schema import Task
from models.metrics.binary import BINS, LOGIT_LIMIT, METRICS, CellState
from models.metrics.regression import REGRESSION_METRICS, RegressionState
from models.modules.trunk import CELL
from models.training.distributed import Distributed

State = CellState | RegressionState

_NEGATIVES, _POSITIVES, _PREDICTED = 0, BINS, 2 * BINS  # histograms by bin of the logit
_ROWS, _POSITIVE_ROWS, _LOSS, _PREDICTION, _WEIGHT, _SQUARED, _ABSOLUTE = range(3 * BINS, 3 * BINS + 7)
_WIDTH = 3 * BINS + 7


class DeviceStates:
    """States of all tasks and groups of one rank, as one tensor of sums, (K, G, ...), float64.

    Args:
        tasks: K.
        groups: G.
        device: where batches are.
    """

    def __init__(self, tasks: Sequence[Task], groups: int, device: torch.device) -> None:
        self.tasks = tasks
        self.sums = torch.zeros(len(tasks), groups, _WIDTH, dtype=torch.float64, device=device)
        self._is_binary_K = torch.tensor([task.kind == "binary" for task in tasks], device=device)

    def add(
        self, logits_BK: Tensor, labels_BK: Tensor, mask_BK: Tensor, weight_B: Tensor, group_B: Tensor
    ) -> None:
        """Add a batch: arguments as of `losses.cell_sums`; rows of weight 0 do not count."""
        row_E, task_E = (mask_BK.bool() & (weight_B > 0)[:, None]).nonzero(as_tuple=True)
        z_E, y_E = logits_BK[row_E, task_E].double(), labels_BK[row_E, task_E].double()
        v_E, group_E = weight_B[row_E].double(), group_B[row_E]
        start_E = (task_E * self.sums.shape[1] + group_E) * _WIDTH
        self._add(start_E + _ROWS, torch.ones_like(v_E))
        self._add(start_E + _WEIGHT, v_E)
        binary_E = self._is_binary_K[task_E]
        self._add_binary(start_E[binary_E], z_E[binary_E], y_E[binary_E] > 0.5, v_E[binary_E])
        error_E = (z_E - y_E)[~binary_E]
        self._add(start_E[~binary_E] + _SQUARED, v_E[~binary_E] * error_E**2)
        self._add(start_E[~binary_E] + _ABSOLUTE, v_E[~binary_E] * error_E.abs())

    def over(self, ranks: Distributed) -> list[list[State]]:
        """Return the states of all ranks' rows, K lists of G, on every rank."""
        sums_KGX = ranks.all_reduce_sum(self.sums).cpu()
        return [
            [_to_state(task, sums_X) for sums_X in sums_GX]
            for task, sums_GX in zip(self.tasks, sums_KGX, strict=True)
        ]

    def _add_binary(self, start_E: Tensor, z_E: Tensor, is_positive_E: Tensor, v_E: Tensor) -> None:
        # A NaN has no bin; it makes the validation loss NaN, which ends the run with a clear error.
        scaled_E = (z_E.nan_to_num() + LOGIT_LIMIT) * (BINS / (2 * LOGIT_LIMIT))
        bin_E = scaled_E.floor().clamp(0, BINS - 1).long()
        p_E = z_E.sigmoid()
        loss_E = torch.logaddexp(torch.zeros_like(z_E), torch.where(is_positive_E, -z_E, z_E))
        self._add(start_E + torch.where(is_positive_E, _POSITIVES, _NEGATIVES) + bin_E, v_E)
        self._add(start_E + _PREDICTED + bin_E, v_E * p_E)
        self._add(start_E + _POSITIVE_ROWS, is_positive_E.double())
        self._add(start_E + _LOSS, v_E * loss_E)
        self._add(start_E + _PREDICTION, v_E * p_E)

    def _add(self, place_E: Tensor, values_E: Tensor) -> None:
        # In a fixed order on a GPU, too, when torch is told to be deterministic.
        self.sums.view(-1).index_add_(0, place_E, values_E)


def metrics_by_cell(
    states: Sequence[Sequence[State]], tasks: Sequence[Task], groups: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """Return task, and task|group -> metric -> value; None for a single class, or for no row.

    Args:
        states: K lists of G.
        tasks: K.
        groups: G names.
    """
    found: dict[str, dict[str, float | None]] = {}
    for task, of_groups in zip(tasks, states, strict=True):
        found[task.name] = _values(_merged(of_groups))
        found |= {
            f"{task.name}{CELL}{group}": _values(state)
            for group, state in zip(groups, of_groups, strict=True)
        }
    return found


def _merged(states: Sequence[State]) -> State:
    first, *others = states
    return first.merge(*others)  # type: ignore[arg-type]  # the states of a task are of one kind


def _values(state: State) -> dict[str, float | None]:
    if isinstance(state, RegressionState):
        return {metric: state.value(metric, min_rows=1) for metric in REGRESSION_METRICS}
    return {metric: state.value(metric, min_class_count=1) for metric in METRICS}


def _to_state(task: Task, sums_X: Tensor) -> State:
    if task.kind == "regression":
        errors_3 = sums_X[[_WEIGHT, _SQUARED, _ABSOLUTE]]
        return RegressionState(int(sums_X[_ROWS]), errors_3[:, None].numpy())
    histogram_2M = sums_X[:_PREDICTED].view(2, BINS)
    occupied = histogram_2M.sum(0).nonzero().squeeze(1)
    positives = int(sums_X[_POSITIVE_ROWS])
    return CellState(
        positives=positives,
        negatives=int(sums_X[_ROWS]) - positives,
        bins=occupied.numpy(),
        sums=histogram_2M[:, occupied, None].numpy(),
        predicted=sums_X[_PREDICTED + occupied].numpy(),
        losses=sums_X[_LOSS : _LOSS + 1].numpy(),
        predictions=sums_X[_PREDICTION : _PREDICTION + 1].numpy(),
    )
