"""Experts run together and mixed by gates, with as little traffic through memory as torch allows.

On a CPU the matrix products of a level take as long as reading and writing its activations a few times
over, and a fresh buffer costs as much as a pass. Left to autograd, every use of an expert by a gate costs
passes and buffers of its own. Here all gates that see a stack of experts mix it by one product of small
matrices a row, forward and backward, over blocks of rows that fit the cache; and a stack's memory holds
first what the experts give, then what is left of it after ReLU, at last its gradient.

Letters: B rows, N experts, H expert width, G gates.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

Activation = Literal["relu", "swish"]

ROWS_AT_ONCE = 1024
"""Rows of a block on a CPU: few enough for the cache, many enough to hide the cost of a call."""


@dataclass(frozen=True)
class ExpertOutputs:
    """What the experts of some branches gave: those of one input in one stack, in the order of branches.

    An expert's output is activation(stack + bias), left to who reads it: `by_branch`, or `mix`, once.

    Attributes:
        stacks: (B, N of the stack, H); `mix` uses their memory for its own ends.
        biases: (N of the stack, H).
        branches: of each stack: branch -> number of its experts.
        activation: of the experts' last layer.
    """

    stacks: Sequence[Tensor]
    biases: Sequence[Tensor]
    branches: Sequence[Mapping[str, int]]
    activation: Activation = "relu"

    def by_branch(self) -> dict[str, Tensor]:
        """Give the outputs of each branch, (B, N of the branch, H)."""
        return {
            branch: y_BNH
            for stack_BNH, bias_NH, counts in zip(self.stacks, self.biases, self.branches, strict=True)
            for branch, y_BNH in zip(
                counts,
                activate(self.activation, stack_BNH + bias_NH).split(list(counts.values()), dim=1),
                strict=True,
            )
        }

    def mix(self, weights_BN: Mapping[str, Tensor], sees: Mapping[str, Sequence[str]]) -> dict[str, Tensor]:
        """Give the weighted sum of the experts that each gate sees, (B, H).

        Args:
            weights_BN: gate -> weights of its experts, (B, N of the gate).
            sees: gate -> branches whose experts it weighs, in the order of its weights.
        """
        if self.activation != "relu":
            return self._mix_by_autograd(weights_BN, sees)
        runs = self._runs()
        seen = [[runs[branch] for branch in sees[gate]] for gate in weights_BN]
        mixed: tuple[Tensor, ...] = _Mix.apply(  # type: ignore[no-untyped-call]
            seen, len(self.stacks), *self.stacks, *self.biases, *weights_BN.values()
        )
        return dict(zip(weights_BN, mixed, strict=True))

    def _mix_by_autograd(
        self, weights_BN: Mapping[str, Tensor], sees: Mapping[str, Sequence[str]]
    ) -> dict[str, Tensor]:
        """The mixtures of experts whose gradient cannot be told from their outputs, as ReLU's can."""
        outputs_BNH = self.by_branch()
        return {
            gate: torch.einsum("bn,bnh->bh", w_BN, torch.cat([outputs_BNH[b] for b in sees[gate]], dim=1))
            for gate, w_BN in weights_BN.items()
        }

    def _runs(self) -> dict[str, "Run"]:
        runs: dict[str, Run] = {}
        for stack, counts in enumerate(self.branches):
            first = 0
            for branch, count in counts.items():
                runs[branch] = Run(stack, first, first + count)
                first += count
        return runs


def activate(activation: Activation, y: Tensor) -> Tensor:
    """Apply an activation to values that nobody else needs: ReLU takes their memory."""
    return F.silu(y) if activation == "swish" else y.relu_()


class Run(NamedTuple):
    """Where the experts of a branch are: which stack, and from where to where in it."""

    stack: int
    start: int
    stop: int


class _Mix(torch.autograd.Function):
    """y_g = sum over the experts n that gate g sees of w_gn relu(z_n + b_n), for all gates at once.

    The memory of z_n holds the ReLU from here on, and the gradient of z_n after the last backward pass;
    torch keeps count of such writes, and refuses to go backward through anybody else who needs z_n.
    """

    @staticmethod
    def forward(ctx: Any, seen: list[list[Run]], count: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        stacks, biases, weights = tensors[:count], tensors[count : 2 * count], tensors[2 * count :]
        readers = _readers(seen, count)
        spread = [_spread(seen, of_stack, s, stacks[s], weights) for s, of_stack in enumerate(readers)]
        ctx.seen, ctx.readers = seen, readers
        cast(FunctionCtx, ctx).save_for_backward(*stacks, *spread)
        mixed_BGH = stacks[0].new_empty(len(stacks[0]), len(seen), stacks[0].shape[2])
        for rows in _blocks(stacks[0]):
            mixed, written = mixed_BGH[rows], set[int]()
            # Most read first: where all gates read a stack, its product is written in place.
            for s in sorted(range(count), key=lambda s: -len(readers[s])):
                active = stacks[s][rows].add_(biases[s]).clamp_min_(0.0)
                if len(readers[s]) == len(seen) and not written:
                    torch.bmm(spread[s][rows], active, out=mixed)
                else:
                    part = torch.bmm(spread[s][rows], active)
                    for g, y_BH in zip(readers[s], part.unbind(1), strict=True):
                        (mixed[:, g].add_ if g in written else mixed[:, g].copy_)(y_BH)
                written.update(readers[s])
        return mixed_BGH.unbind(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        count = len(ctx.readers)
        stacks, spread = ctx.saved_tensors[:count], ctx.saved_tensors[count:]
        of_stacks = list(stacks) if _is_last_backward() else [torch.empty_like(stack) for stack in stacks]
        of_biases = [torch.zeros_like(stack[0]) for stack in stacks]
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
                torch.bmm(spread[s][rows].transpose(1, 2), own_BGH, out=of_active)
                torch.ops.aten.threshold_backward.grad_input(of_active, active, 0, grad_input=of_stack)
                of_biases[s] += of_stack.sum(0)
        return None, None, *of_stacks, *of_biases, *_gather(ctx.seen, ctx.readers, of_spread)


def _readers(seen: Sequence[Sequence[Run]], stacks: int) -> list[list[int]]:
    """Of each stack the gates that see some of its experts, ascending."""
    return [[g for g, runs in enumerate(seen) if any(run.stack == s for run in runs)] for s in range(stacks)]


def _spread(
    seen: Sequence[Sequence[Run]], readers: Sequence[int], s: int, stack: Tensor, weights: Sequence[Tensor]
) -> Tensor:
    """The weights that the readers of a stack give its experts, (B, G of the stack, N), 0 where unseen."""
    w_BGN = stack.new_zeros(len(stack), len(readers), stack.shape[1])
    for row, g in enumerate(readers):
        for run, own in _with_own_columns(seen[g]):
            if run.stack == s:
                w_BGN[:, row, run.start : run.stop] = weights[g][:, own]
    return w_BGN


def _gather(
    seen: Sequence[Sequence[Run]], readers: Sequence[Sequence[int]], spread: Sequence[Tensor]
) -> list[Tensor]:
    """The way back from `_spread`: of each gate the columns of its own experts, (B, N of the gate)."""
    return [
        torch.cat(
            [spread[run.stack][:, readers[run.stack].index(g), run.start : run.stop] for run in runs],
            dim=1,
        )
        for g, runs in enumerate(seen)
    ]


def _with_own_columns(runs: Sequence[Run]) -> Iterator[tuple[Run, slice]]:
    """Runs of experts that a gate sees, and their columns among its weights."""
    first = 0
    for run in runs:
        last = first + run.stop - run.start
        yield run, slice(first, last)
        first = last


def _columns(values_BGH: Tensor, gates: Sequence[int]) -> Tensor:
    """Those of some gates, (B, G of them, H); not copied where they stand side by side."""
    first, last = gates[0], gates[-1]
    if last - first + 1 == len(gates):
        return values_BGH[:, first : last + 1]
    return values_BGH[:, list(gates)]


def _blocks(stack: Tensor) -> Iterator[slice]:
    """Blocks of rows."""
    at_once = _rows_at_once(stack)
    for start in range(0, len(stack), at_once):
        yield slice(start, min(start + at_once, len(stack)))


def _rows_at_once(stack: Tensor) -> int:
    return ROWS_AT_ONCE if stack.device.type == "cpu" else max(len(stack), 1)


def _is_last_backward() -> bool:
    """Whether the graph is freed behind this backward pass, so that what it saved will not be read again."""
    keeps: bool = torch._C._autograd._get_current_graph_task_keep_graph()
    return not keeps
