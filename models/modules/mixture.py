"""Experts run together and mixed by gates, with as few passes through memory as torch allows.

On a CPU the matrix products of a level take as long as reading and writing its activations a few times,
and a fresh buffer costs as much as a pass. With autograd alone, every use of an expert by a gate costs
passes and buffers of its own. Here all gates that see a stack of experts mix it by one product of small
matrices per row, forward and backward, over blocks of rows that fit the cache. The memory of a stack holds
first the experts' outputs before their bias, then what ReLU leaves of them, at last their gradient.

Letters: B rows, N experts, H expert width, G gates.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

ROWS_AT_ONCE = 1024
"""Rows of a block on a CPU: few enough for the cache, many enough to hide the cost of a call."""

SMALL_PRODUCT = 400
"""Multiplications of two matrices' product below which torch.bmm on a CPU runs plain loops and no library
(aten/src/ATen/native/LinearAlgebra.cpp, bmm_out_or_baddbmm_): adding terms of all rows is faster then."""

FEW_TERMS = 16
"""Pairs of a gate and an expert that it sees: so few are faster added than multiplied as small matrices."""


@dataclass(frozen=True)
class ExpertOutputs:
    """Outputs of the experts of some branches; those of one input form one stack, in the order of branches.

    An expert's output is relu(stack + bias), computed by whoever reads it: `by_branch`, or `mix`, once.

    Attributes:
        stacks: (B, N of the stack, H). `mix` overwrites them, except parameters and other leaves that require
            a gradient, and views of them.
        biases: (N of the stack, H).
        branches: of each stack: branch -> number of its experts.
    """

    stacks: Sequence[Tensor]
    biases: Sequence[Tensor]
    branches: Sequence[Mapping[str, int]]

    def by_branch(self) -> dict[str, Tensor]:
        """Return the outputs of each branch, (B, N of the branch, H)."""
        return {
            branch: y_BNH
            for stack_BNH, bias_NH, counts in zip(self.stacks, self.biases, self.branches, strict=True)
            for branch, y_BNH in zip(
                counts, (stack_BNH + bias_NH).relu_().split(list(counts.values()), dim=1), strict=True
            )
        }

    def mix(self, weights_BN: Mapping[str, Tensor], sees: Mapping[str, Sequence[str]]) -> dict[str, Tensor]:
        """Return the weighted sum of the experts that each gate sees, (B, H).

        Args:
            weights_BN: gate -> weights of its experts, (B, N of the gate).
            sees: gate -> branches whose experts it weighs, in the order of its weights.
        """
        if torch.compiler.is_compiling():  # the compiler plans memory itself, and cannot read what follows
            return self._plain_sums(weights_BN, sees)
        slices = self._slices()
        seen = [[slices[branch] for branch in sees[gate]] for gate in weights_BN]
        # Autograd does not notice that a function writes to a leaf.
        stacks = [y.clone() if _is_memory_of_a_leaf(y) else y for y in self.stacks]
        if not torch.is_grad_enabled() and sum(len(weights_BN[gate].T) for gate in weights_BN) <= FEW_TERMS:
            return self._sums(stacks, weights_BN, sees)
        mixed: tuple[Tensor, ...] = _Mix.apply(  # type: ignore[no-untyped-call]
            seen, len(stacks), *stacks, *self.biases, *weights_BN.values()
        )
        return dict(zip(weights_BN, mixed, strict=True))

    def _plain_sums(
        self, weights_BN: Mapping[str, Tensor], sees: Mapping[str, Sequence[str]]
    ) -> dict[str, Tensor]:
        """Return the same by autograd."""
        outputs_BNH = self.by_branch()
        return {
            gate: torch.einsum("bn,bnh->bh", w_BN, torch.cat([outputs_BNH[b] for b in sees[gate]], dim=1))
            for gate, w_BN in weights_BN.items()
        }

    def _sums(
        self, stacks: Sequence[Tensor], weights_BN: Mapping[str, Tensor], sees: Mapping[str, Sequence[str]]
    ) -> dict[str, Tensor]:
        """Return the same term by term, where no gradient is asked for."""
        terms_BH: dict[str, Sequence[Tensor]] = {}
        for stack_BNH, bias_NH, counts in zip(stacks, self.biases, self.branches, strict=True):
            experts_BH = iter(stack_BNH.add_(bias_NH).clamp_min_(0.0).unbind(1))
            terms_BH |= {branch: [*islice(experts_BH, count)] for branch, count in counts.items()}
        mixed_BH: dict[str, Tensor] = {}
        for gate, w_BN in weights_BN.items():
            first, *others = zip(
                (y_BH for branch in sees[gate] for y_BH in terms_BH[branch]), w_BN.unbind(1), strict=True
            )
            mixed_BH[gate] = first[0] * first[1][:, None]
            for y_BH, w_B in others:
                mixed_BH[gate].addcmul_(y_BH, w_B[:, None])
        return mixed_BH

    def _slices(self) -> dict[str, "ExpertSlice"]:
        slices: dict[str, ExpertSlice] = {}
        for stack, counts in enumerate(self.branches):
            first = 0
            for branch, count in counts.items():
                slices[branch] = ExpertSlice(stack, first, first + count)
                first += count
        return slices


class ExpertSlice(NamedTuple):
    """Place of the experts of a branch: number of their stack, the first in it, the one after the last."""

    stack: int
    start: int
    stop: int


class _Mix(torch.autograd.Function):
    """y_g = sum over the experts n that gate g sees of w_gn relu(z_n + b_n), for all gates at once.

    The memory of z_n holds the ReLU after the forward pass, and the gradient of z_n after the last backward
    pass. Torch counts such writes, and raises if anything else needs z_n for its gradient.
    """

    @staticmethod
    def forward(ctx: Any, seen: list[list[ExpertSlice]], count: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        stacks, biases, weights = tensors[:count], tensors[count : 2 * count], tensors[2 * count :]
        readers = _readers(seen, count)
        spread = [_spread(seen, of_stack, s, stacks[s], weights) for s, of_stack in enumerate(readers)]
        ctx.seen, ctx.readers = seen, readers
        cast(FunctionCtx, ctx).save_for_backward(*stacks, *spread)
        mixed_BGH = stacks[0].new_empty(len(stacks[0]), len(seen), stacks[0].shape[2])
        for rows in _blocks(stacks[0]):
            mixed = mixed_BGH[rows]
            written: set[int] = set()
            # Most read first: where all gates read a stack, its product is written in place.
            for s in sorted(range(count), key=lambda s: -len(readers[s])):
                active = stacks[s][rows].add_(biases[s]).clamp_min_(0.0)
                if len(readers[s]) == len(seen) and not written:
                    _product(spread[s][rows], active, out=mixed)
                else:
                    part = _product(spread[s][rows], active)
                    for g, y_BH in zip(readers[s], part.unbind(1), strict=True):
                        (mixed[:, g].add_ if g in written else mixed[:, g].copy_)(y_BH)
                written.update(readers[s])
        return mixed_BGH.unbind(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        count, saved = len(ctx.readers), ctx.saved_tensors  # read once: checkpointing unpacks them once
        stacks, spread = saved[:count], saved[count:]
        of_stacks = list(stacks) if _is_last_backward() else [torch.empty_like(stack) for stack in stacks]
        of_biases = [_zero_sums(stack) for stack in stacks]
        of_spread = [torch.empty_like(w_BGN) for w_BGN in spread]
        memory = stacks[0].new_empty(max(stack[: _rows_at_once(stack)].numel() for stack in stacks))
        for rows in _blocks(stacks[0]):
            g_BGH = torch.stack([g_BH[rows] for g_BH in gradients], dim=1)
            for s, readers in enumerate(ctx.readers):
                active, of_stack = stacks[s][rows], of_stacks[s][rows]
                if not readers:
                    of_stack.zero_()
                    continue
                own_BGH = _columns(g_BGH, readers)
                torch.bmm(own_BGH, active.transpose(1, 2), out=of_spread[s][rows])
                of_active = memory[: active.numel()].view(active.shape)
                _product(spread[s][rows].transpose(1, 2), own_BGH, out=of_active)
                torch.ops.aten.threshold_backward.grad_input(of_active, active, 0, grad_input=of_stack)
                of_biases[s] += of_stack.sum(0, dtype=of_biases[s].dtype)
        biases = [sums_NH.to(stack.dtype) for sums_NH, stack in zip(of_biases, stacks, strict=True)]
        return None, None, *of_stacks, *biases, *_gather(ctx.seen, ctx.readers, of_spread)


def _product(a_BMN: Tensor, b_BNH: Tensor, out: Tensor | None = None) -> Tensor:
    """Return the products of each row's matrices, (B, M, H)."""
    _, m, n = a_BMN.shape
    if a_BMN.device.type != "cpu" or (n > 1 and m * n * b_BNH.shape[2] >= SMALL_PRODUCT):
        return torch.bmm(a_BMN, b_BNH, out=out)
    first, *others = zip(a_BMN.split(1, 2), b_BNH.split(1, 1), strict=True)
    out = torch.mul(*first, out=out)
    for a_BM1, b_B1H in others:
        out.addcmul_(a_BM1, b_B1H)
    return out


def _is_memory_of_a_leaf(y: Tensor) -> bool:
    """Whether it is a leaf that requires a gradient, or a view of one."""
    owner = y if y._base is None else y._base
    return owner.is_leaf and owner.requires_grad


def _readers(seen: Sequence[Sequence[ExpertSlice]], stacks: int) -> list[list[int]]:
    """Return the gates that see some of the experts of each stack, ascending."""
    return [
        [g for g, slices in enumerate(seen) if any(own.stack == s for own in slices)] for s in range(stacks)
    ]


def _spread(
    seen: Sequence[Sequence[ExpertSlice]],
    readers: Sequence[int],
    s: int,
    stack: Tensor,
    weights: Sequence[Tensor],
) -> Tensor:
    """Return the readers' weights of a stack's experts, (B, G of the stack, N), 0 where unseen."""
    w_BGN = stack.new_zeros(len(stack), len(readers), stack.shape[1])
    for row, g in enumerate(readers):
        for experts, own in _with_own_columns(seen[g]):
            if experts.stack == s:
                w_BGN[:, row, experts.start : experts.stop] = weights[g][:, own]
    return w_BGN


def _gather(
    seen: Sequence[Sequence[ExpertSlice]], readers: Sequence[Sequence[int]], spread: Sequence[Tensor]
) -> list[Tensor]:
    """Invert `_spread`: return the columns of each gate's own experts, (B, N of the gate)."""
    return [
        torch.cat(
            [spread[own.stack][:, readers[own.stack].index(g), own.start : own.stop] for own in slices],
            dim=1,
        )
        for g, slices in enumerate(seen)
    ]


def _with_own_columns(slices: Sequence[ExpertSlice]) -> Iterator[tuple[ExpertSlice, slice]]:
    """Yield the experts that a gate sees, and their columns among its weights."""
    first = 0
    for experts in slices:
        last = first + experts.stop - experts.start
        yield experts, slice(first, last)
        first = last


def _columns(values_BGH: Tensor, gates: Sequence[int]) -> Tensor:
    """Return the columns of some gates, (B, G of them, H); a view where they are adjacent."""
    first, last = gates[0], gates[-1]
    if last - first + 1 == len(gates):
        return values_BGH[:, first : last + 1]
    return values_BGH[:, list(gates)]


def _zero_sums(stack: Tensor) -> Tensor:
    """Return zeros, (N, H), of at least 32 bits: sums over many blocks would lose digits in bfloat16."""
    return stack.new_zeros(stack.shape[1:], dtype=torch.promote_types(stack.dtype, torch.float32))


def _blocks(stack: Tensor) -> Iterator[slice]:
    """Yield blocks of rows."""
    at_once = _rows_at_once(stack)
    for start in range(0, len(stack), at_once):
        yield slice(start, min(start + at_once, len(stack)))


def _rows_at_once(stack: Tensor) -> int:
    return ROWS_AT_ONCE if stack.device.type == "cpu" else max(len(stack), 1)


def _is_last_backward() -> bool:
    """Whether this backward pass frees the graph, so that what it saved will not be read again."""
    keeps: bool = torch._C._autograd._get_current_graph_task_keep_graph()
    return not keeps
