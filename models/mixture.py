"""Experts run together and mixed by gates, with as little traffic through memory as torch allows.

On a CPU the matrix products of a level take as long as reading and writing its activations a few times
over. Left to autograd, every use of an expert by a gate costs several passes and buffers of its own; here
each is one pass, forward and backward, over rows that fit the cache.

Letters: B rows, N experts, H expert width.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

ROWS_AT_ONCE = 1024
"""Rows mixed before the next ones: few enough for the cache, many enough to hide the cost of a call."""

Place = tuple[int, int]
"""Where an expert's output is: which stack, which of its experts."""


@dataclass(frozen=True)
class ExpertOutputs:
    """What the experts of some branches gave: those of one input in one stack, in the order of branches.

    Attributes:
        stacks: outputs before the last ReLU, which is left to whoever reads them, (B, N of the stack, H).
        branches: of each stack: branch -> number of its experts.
    """

    stacks: Sequence[Tensor]
    branches: Sequence[Mapping[str, int]]

    def by_branch(self) -> dict[str, Tensor]:
        """Give the outputs of each branch, (B, N of the branch, H)."""
        return {
            branch: y_BNH
            for stack_BNH, counts in zip(self.stacks, self.branches, strict=True)
            for branch, y_BNH in zip(
                counts, stack_BNH.relu().split(list(counts.values()), dim=1), strict=True
            )
        }

    def mix(self, weights_BN: Mapping[str, Tensor], sees: Mapping[str, Sequence[str]]) -> dict[str, Tensor]:
        """Give the weighted sum of the experts that each gate sees, (B, H).

        Args:
            weights_BN: gate -> weights of its experts, (B, N of the gate).
            sees: gate -> branches whose experts it weighs, in the order of its weights.
        """
        places = self._places()
        seen = [[place for branch in sees[gate] for place in places[branch]] for gate in weights_BN]
        mixed: tuple[Tensor, ...] = _Mix.apply(  # type: ignore[no-untyped-call]
            seen, len(self.stacks), *self.stacks, *weights_BN.values()
        )
        return dict(zip(weights_BN, mixed, strict=True))

    def _places(self) -> dict[str, list[Place]]:
        places: dict[str, list[Place]] = {}
        for stack, counts in enumerate(self.branches):
            first = 0
            for branch, count in counts.items():
                places[branch] = [(stack, first + n) for n in range(count)]
                first += count
        return places


class _Mix(torch.autograd.Function):
    """y_g = sum over n in seen[g] of w_gn relu(z_n), for all gates g at once."""

    @staticmethod
    def forward(ctx: Any, seen: list[list[Place]], stacks: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        raw, weights = tensors[:stacks], tensors[stacks:]
        ctx.seen, ctx.stacks = seen, stacks
        cast(FunctionCtx, ctx).save_for_backward(*tensors)
        mixed = tuple(raw[0].new_empty(len(w_BN), raw[0].shape[2]) for w_BN in weights)
        for rows, experts in _active_blocks(raw):
            for y_BH, w_BN, places in zip(mixed, weights, seen, strict=True):
                y, w = y_BH[rows], w_BN[rows]
                for i, (stack, n) in enumerate(places):
                    if i == 0:
                        torch.mul(experts[stack][:, n], w[:, :1], out=y)
                    else:
                        y.addcmul_(experts[stack][:, n], w[:, i : i + 1])
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        tensors = ctx.saved_tensors
        raw, weights = tensors[: ctx.stacks], tensors[ctx.stacks :]
        of_raw = [torch.empty_like(stack) for stack in raw]
        of_weights = [torch.empty_like(w_BN) for w_BN in weights]
        product = raw[0].new_empty(min(len(raw[0]), ROWS_AT_ONCE), raw[0].shape[2])
        for rows, experts in _active_blocks(raw):
            of_block = [of_stack[rows] for of_stack in of_raw]
            written: set[Place] = set()
            for g_BH, w_BN, of_w_BN, places in zip(gradients, weights, of_weights, ctx.seen, strict=True):
                g, w, of_w = g_BH[rows], w_BN[rows], of_w_BN[rows]
                products = product[: len(g)]
                for i, (stack, n) in enumerate(places):
                    if (stack, n) in written:
                        of_block[stack][:, n].addcmul_(g, w[:, i : i + 1])
                    else:
                        torch.mul(g, w[:, i : i + 1], out=of_block[stack][:, n])
                        written.add((stack, n))
                    torch.mul(g, experts[stack][:, n], out=products)
                    torch.sum(products, dim=1, out=of_w[:, i])
            for stack, (of_experts, active) in enumerate(zip(of_block, experts, strict=True)):
                for n in range(active.shape[1]):
                    if (stack, n) not in written:
                        of_experts[:, n] = 0.0
                torch.ops.aten.threshold_backward.grad_input(of_experts, active, 0, grad_input=of_experts)
        return None, None, *of_raw, *of_weights


def _active_blocks(raw: Sequence[Tensor]) -> Iterator[tuple[slice, list[Tensor]]]:
    """Yield blocks of rows, and the outputs of all experts for them, after ReLU, in memory used again."""
    rows = len(raw[0])
    buffers = [stack.new_empty(min(rows, ROWS_AT_ONCE), *stack.shape[1:]) for stack in raw]
    for start in range(0, rows, ROWS_AT_ONCE):
        block = slice(start, min(start + ROWS_AT_ONCE, rows))
        active = [buffer[: block.stop - start] for buffer in buffers]
        for stack, out in zip(raw, active, strict=True):
            torch.clamp_min(stack[block], 0.0, out=out)
        yield block, active
