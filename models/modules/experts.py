"""The parts that all architectures are made of: stacked experts, gates, towers.

Letters: B rows, D input width, N experts, H expert width.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.config_model import ConfigModel
from models.modules.mixture import ExpertOutputs
from models.modules.pairs import PairRows, Rows, join, linear

GateKind = Literal["softmax", "sigmoid"]
Norm = Literal["none", "layer"]


class ExpertOptions(ConfigModel):
    """What the configurations of all experts and bottoms share.

    norm: `layer` normalises the outputs of each layer over its own units, before ReLU (Ba, Kiros, Hinton
    2016); docs/adr/0010 says why it is not by batch.
    """

    norm: Norm = "none"


PLAIN = ExpertOptions()
EPSILON = 1e-5
"""What F.layer_norm adds to the variance."""


class Experts(nn.Module):
    """N experts that read one input: linear layers, each with ReLU (Tang 2020, section 5).

    Args:
        count: N.
        in_dim: D.
        widths: of the layers of each expert, the last is H.
        options: norm of each layer.
    """

    def __init__(
        self, count: int, in_dim: int, widths: Sequence[int], options: ExpertOptions = PLAIN
    ) -> None:
        super().__init__()
        self.count = count
        self.first = nn.Linear(in_dim, count * widths[0])  # expert n owns rows n * width .. (n + 1) * width
        self.weights = nn.ParameterList(_uniform(count, d, h, fan_in=d) for d, h in pairwise(widths))
        self.biases = nn.ParameterList(_uniform(count, 1, h, fan_in=d) for d, h in pairwise(widths))
        normed = widths if options.norm == "layer" else ()
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(count, h)) for h in normed)
        self.shifts = nn.ParameterList(nn.Parameter(torch.zeros(count, h)) for h in normed)

    def forward(self, x_BD: Rows) -> Tensor:
        """Map (B, D) to (B, N, H)."""
        y_BNH, bias_NH = _run_as_one([self], x_BD)
        return (y_BNH + bias_NH).relu_()


def run_experts(experts: Mapping[str, Experts], x_BD: Mapping[str, Rows]) -> ExpertOutputs:
    """Run the experts of each branch on its input, (B, D).

    Branches that read the very same rows share one matrix product per layer.
    """
    together = readers_of_the_same(experts, x_BD)
    ran = [_run_as_one([experts[b] for b in branches], x_BD[branches[0]]) for branches in together]
    return ExpertOutputs(
        stacks=[y_BNH for y_BNH, _ in ran],
        biases=[bias_NH for _, bias_NH in ran],
        branches=[{b: experts[b].count for b in branches} for branches in together],
    )


def readers_of_the_same(branches: Iterable[str], x_BD: Mapping[str, Rows]) -> list[list[str]]:
    """Group branches that read the very same rows."""
    readers: list[list[str]] = []
    for branch in branches:
        together = next((own for own in readers if x_BD[own[0]] is x_BD[branch]), None)
        if together is None:
            readers.append([branch])
        else:
            together.append(branch)
    return readers


def _run_as_one(stacks: Sequence[Experts], x_BD: Rows) -> tuple[Tensor, Tensor]:
    """Run stacks of equal shape on one input: (B, N of all, H) before the last bias, and that bias, (N, H).

    Concatenating their weights is cheap; adding a bias to activations in memory is not, so the reader of
    the outputs adds the last one.
    """
    count = sum(stack.count for stack in stacks)
    first_BJ = linear(x_BD, [stack.first.weight for stack in stacks])
    first_BNH = first_BJ.unflatten(1, (count, -1))
    bias_NH = join([stack.first.bias for stack in stacks]).view(count, -1)
    y_BNH, bias_NH = _normalise(stacks, 0, first_BNH, bias_NH)
    for layer in range(len(stacks[0].weights)):
        weight_NHJ = join([stack.weights[layer] for stack in stacks])
        y_NBH = (y_BNH + bias_NH).relu_().transpose(0, 1)
        bias_NH = join([stack.biases[layer] for stack in stacks]).squeeze(1)
        y_BNH, bias_NH = _normalise(stacks, layer + 1, torch.bmm(y_NBH, weight_NHJ).transpose(0, 1), bias_NH)
    return y_BNH, bias_NH.to(y_BNH)


def _normalise(
    stacks: Sequence[Experts], layer: int, y_BNH: Tensor, bias_NH: Tensor
) -> tuple[Tensor, Tensor]:
    """Return a layer's products and its bias; with a norm, the normalised layer and its shift."""
    if not stacks[0].scales:
        return y_BNH, bias_NH
    scale_NH = join([stack.scales[layer] for stack in stacks])
    shift_NH = join([stack.shifts[layer] for stack in stacks])
    if torch.is_grad_enabled() or y_BNH.requires_grad:
        return F.layer_norm(y_BNH + bias_NH, y_BNH.shape[-1:]) * scale_NH, shift_NH
    return _layer_norm(y_BNH.add_(bias_NH)).mul_(scale_NH), shift_NH


def _layer_norm(y_BNH: Tensor) -> Tensor:
    """Overwrite with what F.layer_norm returns; several times as fast on a CPU, where rows are short."""
    y_BNH -= y_BNH.mean(-1, keepdim=True)
    norm_BN1 = torch.linalg.vector_norm(y_BNH, dim=-1, keepdim=True)
    return y_BNH.mul_(norm_BN1.square_().div_(y_BNH.shape[-1]).add_(EPSILON).rsqrt_())


class Gates(nn.Module):
    """Gates of branches: one linear map each from a selector to one score per expert (Tang 2020, eq. 3).

    Args:
        in_dim: D, width of every selector.
        sizes: branch -> N, the number of experts that its gate weighs.
        kind: softmax, or sigmoid divided by N (from the published code of Liu et al., CIKM 2022; a bias,
            which gates have there, they do not have here).
    """

    def __init__(self, in_dim: int, sizes: Mapping[str, int], kind: GateKind) -> None:
        super().__init__()
        self.kind = kind
        self.linear = nn.ModuleDict({f"{b}_gate": nn.Linear(in_dim, n, bias=False) for b, n in sizes.items()})

    def forward(self, x_BD: Mapping[str, Rows], branches: Iterable[str]) -> dict[str, Tensor]:
        """Map the selectors of some branches, (B, D) each, to the weights of their experts, (B, N)."""
        weights_BN: dict[str, Tensor] = {}
        for readers in readers_of_the_same(branches, x_BD):
            gates_ND = [cast(nn.Linear, self.linear[f"{branch}_gate"]).weight for branch in readers]
            scores_NB = _scores(x_BD[readers[0]], gates_ND)
            for branch, own_NB in zip(readers, scores_NB.split([len(g) for g in gates_ND]), strict=True):
                weights_NB = own_NB.softmax(0) if self.kind == "softmax" else own_NB.sigmoid() / len(own_NB)
                weights_BN[branch] = weights_NB.T
        return weights_BN


class Mixture(nn.Module):
    """The mixtures of a level's experts by its gates; a module, so that a hook can see both."""

    def forward(
        self, outputs: ExpertOutputs, weights_BN: Mapping[str, Tensor], sees: Mapping[str, Sequence[str]]
    ) -> dict[str, Tensor]:
        """Return `ExpertOutputs.mix`."""
        return outputs.mix(weights_BN, sees)


def to_logit(in_dim: int, widths: Sequence[int]) -> nn.Sequential:
    """Build the tower of one task or cell: hidden layers with ReLU, then one logit, (B, in_dim) -> (B, 1)."""
    layers: list[nn.Module] = []
    for d, h in pairwise([in_dim, *widths]):
        layers += [nn.Linear(d, h), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(widths[-1] if widths else in_dim, 1))


def _scores(x_BD: Rows, gates_ND: Sequence[Tensor]) -> Tensor:
    """Return the scores of all experts, (N, B); N first, since a softmax down long columns is fast."""
    return linear(x_BD, gates_ND).T.contiguous() if isinstance(x_BD, PairRows) else join(gates_ND) @ x_BD.T


def _uniform(*shape: int, fan_in: int) -> nn.Parameter:
    """Return a parameter with the initial values of nn.Linear."""
    return nn.Parameter(torch.empty(*shape).uniform_(-(fan_in**-0.5), fan_in**-0.5))
