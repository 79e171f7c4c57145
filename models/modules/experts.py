"""The parts that all architectures are made of: stacked experts, gates, towers.

Letters: B rows, D input width, N experts, H expert width.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.config_model import ConfigModel, Positive
from models.modules.mixture import Activation, ExpertOutputs, activate

GateKind = Literal["softmax", "sigmoid"]
Norm = Literal["none", "layer"]


class ExpertOptions(ConfigModel):
    """What the configurations of all experts and bottoms share.

    norm: `layer` normalises what a layer gives over its own units, before its activation (Ba, Kiros,
    Hinton 2016).

    activation and feature_gate are remedies of HoME (Wang, Cao, Fu, Gai, Zhou: "HoME: Hierarchy of
    Multi-Gate Experts for Multi-Task Learning at Kuaishou", arXiv 2408.05430). `swish` is y sigmoid(y), in
    place of ReLU, with which more than 90 % of some experts' outputs were zeros there. A feature gate of
    rank R lets each expert choose from its input: it reads x * 2 sigmoid((x U) V), U (D, R), V (R, D).

    Differences from HoME:
        1. Its experts are Swish(BatchNorm(MLP(x))); here it is layer normalisation, which makes no row
           depend on others, nor a rank on the rows that fell on it, and can train a batch of one
           (docs/adr/0010).
        2. Its hierarchy mask, experts a group of tasks, is not here.
    """

    norm: Norm = "none"
    activation: Activation = "relu"
    feature_gate: Positive | None = None


PLAIN = ExpertOptions()


class Experts(nn.Module):
    """N experts that read one input: linear layers, each with an activation (Tang 2020, section 5).

    Args:
        count: N.
        in_dim: D.
        widths: of the layers of each expert, the last is H.
        options: norm and activation of each layer, gate of the input.
    """

    def __init__(
        self, count: int, in_dim: int, widths: Sequence[int], options: ExpertOptions = PLAIN
    ) -> None:
        super().__init__()
        self.count, self.activation = count, options.activation
        self.first = nn.Linear(in_dim, count * widths[0])  # expert n owns rows n * width .. (n + 1) * width
        self.weights = nn.ParameterList(_uniform(count, d, h, fan_in=d) for d, h in pairwise(widths))
        self.biases = nn.ParameterList(_uniform(count, 1, h, fan_in=d) for d, h in pairwise(widths))
        normed = widths if options.norm == "layer" else ()
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(count, h)) for h in normed)
        self.shifts = nn.ParameterList(nn.Parameter(torch.zeros(count, h)) for h in normed)
        self.feature_gates = nn.ParameterList()  # none, or U (N, D, R) and V (N, R, D)
        if (rank := options.feature_gate) is not None:
            self.feature_gates.append(_uniform(count, in_dim, rank, fan_in=in_dim))
            self.feature_gates.append(_uniform(count, rank, in_dim, fan_in=rank))

    def forward(self, x_BD: Tensor) -> Tensor:
        """Map (B, D) to (B, N, H)."""
        y_BNH, bias_NH = _run_as_one([self], x_BD)
        return activate(self.activation, y_BNH + bias_NH)


def run_experts(experts: Mapping[str, Experts], x_BD: Mapping[str, Tensor]) -> ExpertOutputs:
    """Run the experts of each branch on its input, (B, D).

    Branches that are handed the very same tensor share one matrix product a layer.
    """
    together = readers_of_the_same(experts, x_BD)
    ran = [_run_as_one([experts[b] for b in branches], x_BD[branches[0]]) for branches in together]
    return ExpertOutputs(
        stacks=[y_BNH for y_BNH, _ in ran],
        biases=[bias_NH for _, bias_NH in ran],
        branches=[{b: experts[b].count for b in branches} for branches in together],
        activation=next(iter(experts.values())).activation,
    )


def readers_of_the_same(branches: Iterable[str], x_BD: Mapping[str, Tensor]) -> list[list[str]]:
    """Put branches together that are handed the very same tensor."""
    readers: dict[int, list[str]] = {}
    for branch in branches:
        readers.setdefault(id(x_BD[branch]), []).append(branch)
    return list(readers.values())


def _run_as_one(stacks: Sequence[Experts], x_BD: Tensor) -> tuple[Tensor, Tensor]:
    """Run stacks of equal shape on one input: (B, N of all, H) up to the last bias, and that bias, (N, H).

    Joining their weights is cheap; adding a bias to what memory holds is not, so the last one is left to
    who reads it.
    """
    bias_NH = join([stack.first.bias for stack in stacks]).view(sum(stack.count for stack in stacks), -1)
    y_BNH, bias_NH = _normalise(stacks, 0, _first_layer(stacks, x_BD), bias_NH)
    for layer in range(len(stacks[0].weights)):
        weight_NHJ = join([stack.weights[layer] for stack in stacks])
        y_NBH = activate(stacks[0].activation, y_BNH + bias_NH).transpose(0, 1)
        bias_NH = join([stack.biases[layer] for stack in stacks]).squeeze(1)
        y_BNH, bias_NH = _normalise(stacks, layer + 1, torch.bmm(y_NBH, weight_NHJ).transpose(0, 1), bias_NH)
    return y_BNH, bias_NH.to(y_BNH)


def _first_layer(stacks: Sequence[Experts], x_BD: Tensor) -> Tensor:
    """The first layer without its bias, (B, N of all, H): one product where all experts read x itself."""
    count = sum(stack.count for stack in stacks)
    weight = join([stack.first.weight for stack in stacks])
    if not stacks[0].feature_gates:
        return F.linear(x_BD, weight).view(len(x_BD), count, len(weight) // count)
    u_NDR, v_NRD = (join([stack.feature_gates[i] for stack in stacks]) for i in (0, 1))
    gated_NBD = x_BD * 2 * torch.sigmoid((x_BD @ u_NDR) @ v_NRD)
    return torch.bmm(gated_NBD, weight.view(count, -1, x_BD.shape[1]).mT).transpose(0, 1)


def _normalise(
    stacks: Sequence[Experts], layer: int, y_BNH: Tensor, bias_NH: Tensor
) -> tuple[Tensor, Tensor]:
    """What a layer gives and its bias, or, where the experts have a norm, its normal form and their shift."""
    if not stacks[0].scales:
        return y_BNH, bias_NH
    normal_BNH = F.layer_norm(y_BNH + bias_NH, y_BNH.shape[-1:])
    scale_NH = join([stack.scales[layer] for stack in stacks])
    return normal_BNH * scale_NH, join([stack.shifts[layer] for stack in stacks])


class Gates(nn.Module):
    """Gates of branches: one linear map of a selector each, to a score an expert (Tang 2020, eq. 3).

    Args:
        in_dim: D, width of every selector.
        sizes: branch -> N, the number of experts that its gate weighs.
        kind: softmax, or sigmoid divided by N (Liu et al., CIKM 2022).
        own: branch -> number of its own experts, the first of those it weighs, which a self-gate weighs once
            more (HoME, arXiv 2408.05430): by a softmax, a single one by a sigmoid. Most have none.
    """

    def __init__(
        self, in_dim: int, sizes: Mapping[str, int], kind: GateKind, own: Mapping[str, int] | None = None
    ) -> None:
        super().__init__()
        self.kind = kind
        self.linear = _linears(in_dim, sizes)
        self.self_linear = _linears(in_dim, own or {})

    def forward(self, x_BD: Mapping[str, Tensor], branches: Iterable[str]) -> dict[str, Tensor]:
        """Map the selectors of some branches, (B, D) each, to the weights of their experts, (B, N).

        A self-gate's sum of experts is added to the gate's, so its weights are added to the gate's weights.
        """
        weights_BN: dict[str, Tensor] = {}
        for readers in readers_of_the_same(branches, x_BD):
            gates_ND = [cast(nn.Linear, self.linear[f"{branch}_gate"]).weight for branch in readers]
            scores_NB = join(gates_ND) @ x_BD[readers[0]].T  # N first: a softmax down long columns is fast
            for branch, own_NB in zip(readers, scores_NB.split([len(g) for g in gates_ND]), strict=True):
                weights_NB = own_NB.softmax(0) if self.kind == "softmax" else own_NB.sigmoid() / len(own_NB)
                weights_BN[branch] = weights_NB.T
        if not self.self_linear:
            return weights_BN
        return {branch: self._with_own(branch, w_BN, x_BD[branch]) for branch, w_BN in weights_BN.items()}

    def _with_own(self, branch: str, weights_BN: Tensor, x_BD: Tensor) -> Tensor:
        if f"{branch}_gate" not in self.self_linear:
            return weights_BN
        scores_BM = self.self_linear[f"{branch}_gate"](x_BD)
        own_BM = scores_BM.softmax(1) if scores_BM.shape[1] > 1 else scores_BM.sigmoid()
        return weights_BN + F.pad(own_BM, (0, weights_BN.shape[1] - own_BM.shape[1]))


def _linears(in_dim: int, sizes: Mapping[str, int]) -> nn.ModuleDict:
    return nn.ModuleDict({f"{b}_gate": nn.Linear(in_dim, n, bias=False) for b, n in sizes.items()})


class Mixture(nn.Module):
    """What the gates of a level make of its experts; a module, so that a hook can see both."""

    def forward(
        self, outputs: ExpertOutputs, weights_BN: Mapping[str, Tensor], sees: Mapping[str, Sequence[str]]
    ) -> dict[str, Tensor]:
        """Give `ExpertOutputs.mix`."""
        return outputs.mix(weights_BN, sees)


def to_logit(in_dim: int, widths: Sequence[int]) -> nn.Sequential:
    """Make the tower of one task or cell: hidden layers with ReLU, then one logit, (B, in_dim) -> (B, 1)."""
    layers: list[nn.Module] = []
    for d, h in pairwise([in_dim, *widths]):
        layers += [nn.Linear(d, h), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(widths[-1] if widths else in_dim, 1))


def join(parameters: Sequence[Tensor]) -> Tensor:
    """Put parameters that act on one input one below the other; a single one is not copied."""
    return parameters[0] if len(parameters) == 1 else torch.cat(list(parameters))


def _uniform(*shape: int, fan_in: int) -> nn.Parameter:
    """Initial values as nn.Linear has them."""
    return nn.Parameter(torch.empty(*shape).uniform_(-(fan_in**-0.5), fan_in**-0.5))
