"""The collective operations of training, and three ways to run them.

horovod is the default (gloo on CPU, NCCL where it was built with it), torch.distributed under torchrun
the fallback, single for one process. No rank ever leaves the group early: shares are equal by
construction (models/training/reader.py), so there is no join.
"""

import os
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Distributed(Protocol):
    """A group of ranks. Every method is collective: all ranks call it, in the same order."""

    rank: int
    size: int
    device: torch.device

    def all_reduce_sum(self, values: Tensor) -> Tensor:
        """Return the sum over ranks; the argument is not changed."""
        ...

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over ranks; a missing one counts as, and becomes, zeros."""
        ...

    def average_sparse_gradients(self, tables: Sequence[nn.Parameter]) -> None:
        """The same for tables with sparse gradients, of which only touched rows are sent."""
        ...

    def broadcast(self, module: nn.Module) -> None:
        """Set the parameters and buffers of all ranks to those of rank 0."""
        ...

    def all_gather(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the concatenation of all ranks' arrays, in rank order; their shapes must be equal."""
        ...

    def close(self) -> None:
        """Leave the group."""
        ...


class Single:
    """One process; nothing is communicated."""

    def __init__(self) -> None:
        self.rank, self.size = 0, 1
        self.device = _device(0)

    def all_reduce_sum(self, values: Tensor) -> Tensor:
        """Return a copy of the values."""
        return values.clone()

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Fill in the missing gradients."""
        _gradients(parameters)

    def average_sparse_gradients(self, tables: Sequence[nn.Parameter]) -> None:
        """Fill in the missing gradients, and add up repeated entries of one row."""
        for table in tables:
            table.grad = _touched(table).coalesce()

    def broadcast(self, module: nn.Module) -> None:
        """Do nothing."""

    def all_gather(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a copy of the array."""
        return values.copy()

    def close(self) -> None:
        """Do nothing."""


class HorovodRanks:
    """Ranks started by horovodrun. A rank that hangs is ended by HOROVOD_STALL_SHUTDOWN_TIME_SECONDS."""

    def __init__(self) -> None:
        import horovod.torch as hvd

        hvd.init()
        self._hvd = hvd
        self.rank, self.size = int(hvd.rank()), int(hvd.size())
        self.device = _device(int(hvd.local_rank()))

    def all_reduce_sum(self, values: Tensor) -> Tensor:
        """Sum over ranks."""
        total: Tensor = self._hvd.allreduce(values, op=self._hvd.Sum, name="sum")
        return total

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Average all gradients as one group, so that they are sent together in one order."""
        gradients = _gradients(parameters)
        self._hvd.grouped_allreduce_(gradients, op=self._hvd.Average, name="gradients")

    def average_sparse_gradients(self, tables: Sequence[nn.Parameter]) -> None:
        """Gather the touched rows of all ranks, whose numbers may differ."""
        for n, table in enumerate(tables):
            own = _touched(table).coalesce()
            rows = self._hvd.allgather(own.indices()[0], name=f"rows.{n}")
            values = self._hvd.allgather(own.values(), name=f"values.{n}")
            table.grad = _mean_of_rows(table, rows, values, self.size)

    def broadcast(self, module: nn.Module) -> None:
        """Send rank 0's state to the others."""
        self._hvd.broadcast_parameters(module.state_dict(), root_rank=0)

    def all_gather(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Concatenate the ranks' arrays."""
        gathered: NDArray[np.float32] = self._hvd.allgather(torch.from_numpy(values), name="gather").numpy()
        return gathered

    def close(self) -> None:
        """Shut Horovod down."""
        self._hvd.shutdown()


class TorchRanks:
    """Ranks started by torchrun: NCCL with a GPU for each local rank, else gloo."""

    def __init__(self) -> None:
        import torch.distributed as dist

        self._dist = dist
        local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        self.device = _device(local_rank)
        dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def all_reduce_sum(self, values: Tensor) -> Tensor:
        """Sum over ranks."""
        total = values.clone()
        self._dist.all_reduce(total)
        return total

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Average all gradients as one flat vector."""
        gradients = _gradients(parameters)
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        self._dist.all_reduce(flat)
        flat /= self.size
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def average_sparse_gradients(self, tables: Sequence[nn.Parameter]) -> None:
        """Gather the touched rows of all ranks, padded to the largest number with rows of zeros."""
        for table in tables:
            own = _touched(table).coalesce()
            most = torch.tensor([len(own.values())], device=self.device)
            self._dist.all_reduce(most, op=self._dist.ReduceOp.MAX)
            lacking = int(most) - len(own.values())
            rows = torch.cat([own.indices()[0], own.indices().new_zeros(lacking)])
            values = torch.cat([own.values(), own.values().new_zeros(lacking, table.shape[1])])
            all_rows = [torch.empty_like(rows) for _ in range(self.size)]
            all_values = [torch.empty_like(values) for _ in range(self.size)]
            self._dist.all_gather(all_rows, rows)
            self._dist.all_gather(all_values, values)
            table.grad = _mean_of_rows(table, torch.cat(all_rows), torch.cat(all_values), self.size)

    def broadcast(self, module: nn.Module) -> None:
        """Send rank 0's state to the others."""
        for tensor in module.state_dict().values():
            self._dist.broadcast(tensor, src=0)

    def all_gather(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Concatenate the ranks' arrays."""
        mine = torch.from_numpy(values).to(self.device)
        gathered = [torch.empty_like(mine) for _ in range(self.size)]
        self._dist.all_gather(gathered, mine)
        return np.concatenate([part.cpu().numpy() for part in gathered])

    def close(self) -> None:
        """Leave the process group."""
        self._dist.destroy_process_group()


def create(name: Literal["horovod", "torch", "single"]) -> Distributed:
    """Join the group of ranks that this process was started in."""
    if name == "horovod":
        return HorovodRanks()
    return TorchRanks() if name == "torch" else Single()


def _device(local_rank: int) -> torch.device:
    if torch.cuda.is_available() and local_rank < torch.cuda.device_count():
        torch.cuda.set_device(local_rank)
        return torch.device("cuda", local_rank)
    return torch.device("cpu")


def _gradients(parameters: Iterable[nn.Parameter]) -> Sequence[Tensor]:
    """Return every parameter's gradient, zeros where one is missing."""
    gradients = []
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        gradients.append(parameter.grad)
    return gradients


def _touched(table: nn.Parameter) -> Tensor:
    """Return a table's sparse gradient, an empty one where it is missing."""
    if table.grad is not None:
        return table.grad
    nowhere = torch.empty(0, dtype=torch.int64, device=table.device)
    return _sparse(table, nowhere, table.detach()[:0])


def _mean_of_rows(table: nn.Parameter, rows: Tensor, values: Tensor, ranks: int) -> Tensor:
    return _sparse(table, rows, values / ranks).coalesce()


def _sparse(table: nn.Parameter, rows: Tensor, values: Tensor) -> Tensor:
    return torch.sparse_coo_tensor(rows[None], values, table.shape, check_invariants=True)
