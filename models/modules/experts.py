"""The parts that all architectures are made of: stacked experts, gates, towers.

Letters: B rows, D input width, N experts, H expert width.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple, cast

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


class Layer(NamedTuple):
    """One layer of N experts, J -> H.

    Attributes:
        weight: of a first layer (N H, J), expert n has the rows n H .. (n + 1) H; of others (N, J, H).
        bias: (N, H).
        scale, shift: of the norm, (N, H); None without one.
    """

    weight: Tensor
    bias: Tensor
    scale: Tensor | None
    shift: Tensor | None


class Stack(nn.Module, ABC):
    """N experts that read one input, whatever their parameters are made of.

    Attributes:
        count: N.
    """

    count: int

    @abstractmethod
    def layers(self) -> Sequence[Layer]:
        """Return the layers, the first one first."""

    def forward(self, x_BD: Rows) -> Tensor:
        """Map (B, D) to (B, N, H)."""
        y_BNH, bias_NH = _run_as_one([self], x_BD)
        return (y_BNH + bias_NH).relu_()


class Experts(Stack):
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

    def layers(self) -> Sequence[Layer]:
        """Return the layers."""
        found = [self._layer(0, self.first.weight, self.first.bias.view(self.count, -1))]
        for j in range(len(self.weights)):  # torch.compile cannot trace an iterator of parameters
            found.append(self._layer(j + 1, self.weights[j], self.biases[j].squeeze(1)))
        return found

    def _layer(self, place: int, weight: Tensor, bias_NH: Tensor) -> Layer:
        if not len(self.scales):
            return Layer(weight, bias_NH, None, None)
        return Layer(weight, bias_NH, self.scales[place], self.shifts[place])


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


def _run_as_one(stacks: Sequence[Stack], x_BD: Rows) -> tuple[Tensor, Tensor]:
    """Run stacks of equal shape on one input: (B, N of all, H) before the last bias, and that bias, (N, H).

    Concatenating their weights is cheap; adding a bias to activations in memory is not, so the reader of
    the outputs adds the last one.
    """
    layers = [stack.layers() for stack in stacks]
    first = [of_stack[0] for of_stack in layers]
    first_BJ = linear(x_BD, [layer.weight for layer in first])
    y_BNH, bias_NH = _normalise(first, first_BJ.unflatten(1, (sum(stack.count for stack in stacks), -1)))
    for place in range(1, len(layers[0])):
        of_stacks = [of_stack[place] for of_stack in layers]
        y_NBH = (y_BNH + bias_NH).relu_().transpose(0, 1)
        product_NBH = torch.bmm(y_NBH, join([layer.weight for layer in of_stacks]))
        y_BNH, bias_NH = _normalise(of_stacks, product_NBH.transpose(0, 1))
    return y_BNH, bias_NH.to(y_BNH)


def _normalise(of_stacks: Sequence[Layer], y_BNH: Tensor) -> tuple[Tensor, Tensor]:
    """Return a layer's products and its bias; with a norm, the normalised layer and its shift."""
    bias_NH = join([layer.bias for layer in of_stacks])
    scales = [layer.scale for layer in of_stacks if layer.scale is not None]
    if not scales:
        return y_BNH, bias_NH
    scale_NH = join(scales)
    shift_NH = join([layer.shift for layer in of_stacks if layer.shift is not None])
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


def to_logit(
    in_dim: int,
    widths: Sequence[int],
    out_dim: int = 1,
    to_linear: Callable[[int, int], nn.Module] = nn.Linear,
) -> nn.Sequential:
    """Build a tower: hidden layers with ReLU, then `out_dim` logits, (B, in_dim) -> (B, out_dim).

    Args:
        in_dim: width of the input.
        widths: of the hidden layers.
        out_dim: number of logits.
        to_linear: makes a linear map of an input and an output width.
    """
    layers: list[nn.Module] = []
    for d, h in pairwise([in_dim, *widths]):
        layers += [to_linear(d, h), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, to_linear(widths[-1] if widths else in_dim, out_dim))


def _scores(x_BD: Rows, gates_ND: Sequence[Tensor]) -> Tensor:
    """Return the scores of all experts, (N, B); N first, since a softmax down long columns is fast."""
    return linear(x_BD, gates_ND).T.contiguous() if isinstance(x_BD, PairRows) else join(gates_ND) @ x_BD.T


def _uniform(*shape: int, fan_in: int) -> nn.Parameter:
    """Return a parameter with the initial values of nn.Linear."""
    return nn.Parameter(torch.empty(*shape).uniform_(-(fan_in**-0.5), fan_in**-0.5))
