"""Trunks as plain loops over their parameters: one expert, one gate, one branch at a time."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.architectures.mfh import MfhTrunk
from models.architectures.mmoe import MmoeTrunk
from models.architectures.ple import SHARED, PleTrunk
from models.modules.experts import Experts
from models.modules.trunk import CELL


def expert(stack: Experts, n: int, x: Tensor) -> Tensor:
    """Expert n of a stack, layer by layer."""
    width = len(stack.first.bias) // stack.count
    own = slice(n * width, (n + 1) * width)
    y = activate(stack, 0, n, F.linear(x, stack.first.weight[own], stack.first.bias[own]))
    for layer, (weight_NDH, bias_N1H) in enumerate(zip(stack.weights, stack.biases, strict=True), start=1):
        y = activate(stack, layer, n, y @ weight_NDH[n] + bias_N1H[n])
    return y


def activate(stack: Experts, layer: int, n: int, y: Tensor) -> Tensor:
    """Norm, if there is one, and ReLU of a layer's outputs of expert n."""
    if stack.scales:
        y = F.layer_norm(y, (y.shape[1],), stack.scales[layer][n], stack.shifts[layer][n])
    return y.relu()


def experts(stack: Experts, x: Tensor) -> list[Tensor]:
    """All experts of a stack."""
    return [expert(stack, n, x) for n in range(stack.count)]


def mixture(gate: nn.Linear, kind: str, selector: Tensor, outputs: Sequence[Tensor]) -> Tensor:
    """Outputs of experts by the weights of a gate."""
    scores = selector @ gate.weight.T
    assert scores.shape[1] == len(outputs)
    weights = scores.softmax(1) if kind == "softmax" else scores.sigmoid() / len(outputs)
    return torch.stack([weights[:, n, None] * y for n, y in enumerate(outputs)]).sum(0)


def ple(trunk: PleTrunk, x: Tensor) -> dict[str, Tensor]:
    """PLE (Tang 2020, eq. 2-6), and CGC."""
    tasks = tuple(trunk.out_dims)
    inputs = dict.fromkeys((*tasks, SHARED), x)
    for level in trunk.levels:
        outputs = {branch: experts(level.experts[f"{branch}_experts"], x) for branch, x in inputs.items()}
        mixed = {}
        for branch in (*tasks, SHARED):
            if branch == SHARED and level is trunk.levels[-1]:
                continue
            own = tasks if branch == SHARED else (branch,)
            seen = [y for b in (*own, SHARED) for y in outputs[b]]
            gate = level.gates.linear[f"{branch}_gate"]
            mixed[branch] = mixture(gate, level.gates.kind, inputs[branch], seen)
        inputs = mixed
    return inputs


def mmoe(trunk: MmoeTrunk, x: Tensor) -> dict[str, Tensor]:
    """MMoE (Ma 2018, eq. 5-7); an expert of a later level reads a mixture of its own; gates select by x."""
    first, *later = trunk.experts
    outputs = experts(first["all"], x)
    for gates, stacks in zip(trunk.gates, later, strict=False):
        inputs = {n: mixture(gates.linear[f"{n}_gate"], gates.kind, x, outputs) for n in stacks}
        outputs = [expert(stack, 0, inputs[n]) for n, stack in stacks.items()]
    last = trunk.gates[-1]
    return {task: mixture(last.linear[f"{task}_gate"], last.kind, x, outputs) for task in trunk.out_dims}


def mfh(trunk: MfhTrunk, x: Tensor) -> dict[str, Tensor]:
    """MFH from its switchers, each run for all of its outputs: a cell is the sum over its paths."""
    if trunk.level0.bottom is not None:
        x = expert(trunk.level0.bottom, 0, x)
    cells = {}
    for cell in trunk.out_dims:
        parts = []
        for place, tree in enumerate(trunk.trees.values()):
            others = cell.split(CELL)
            value = others.pop(place)
            parts.append(tree.level2[f"{value}_switcher"](tree.level1(x)[value])[CELL.join(others)])
        cells[cell] = torch.stack(parts).sum(0)
    return cells
