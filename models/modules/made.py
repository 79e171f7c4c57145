"""Layers whose parameters are made of terms, some of them shared between cells.

In training the terms are put together in each forward pass. For scoring `fold` does it once, so that a cell
costs what a plain layer costs. A term that several layers share is registered by the trunk alone; layers keep
it in a tuple, which torch does not look into, so that it is stored once.

Letters: B rows, J input width, H output width.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.modules.experts import Layer, Stack, to_logit
from models.modules.facets import one_shape


class MadeLinear(nn.Module, ABC):
    """A linear map whose weight and bias are made of terms."""

    @abstractmethod
    def made(self) -> tuple[Tensor, Tensor]:
        """Return the weight, (H, J), and the bias, (H,)."""

    def forward(self, y_BJ: Tensor) -> Tensor:
        """Map (B, J) to (B, H)."""
        return F.linear(y_BJ, *self.made())

    def folded(self) -> nn.Linear:
        """Return the same map as a plain one, which is not trained."""
        weight_HJ, bias_H = (term.detach() for term in self.made())
        plain = nn.Linear(weight_HJ.shape[1], weight_HJ.shape[0], device="meta")
        plain.weight, plain.bias = (nn.Parameter(term, requires_grad=False) for term in (weight_HJ, bias_H))
        return plain


class MadeExperts(Stack):
    """One expert whose parameters are made of terms."""

    count = 1

    def folded(self) -> "FixedExperts":
        """Return the same expert with parameters that are not trained."""
        return FixedExperts([_detached(layer) for layer in self.layers()])


class FixedExperts(Stack):
    """One expert whose parameters are given, and not trained.

    Args:
        layers: the first one first.
    """

    count = 1

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        self._layers = tuple(layers)

    def layers(self) -> Sequence[Layer]:
        """Return them."""
        return self._layers


def _detached(layer: Layer) -> Layer:
    scale, shift = (None if term is None else term.detach() for term in (layer.scale, layer.shift))
    return Layer(layer.weight.detach(), layer.bias.detach(), scale, shift)


def fold(module: nn.Module) -> None:
    """Replace all layers inside of a module that are made of terms by plain ones; it is not trained then."""
    with torch.no_grad():
        for name, child in module.named_children():
            if isinstance(child, MadeLinear | MadeExperts):
                setattr(module, name, child.folded())
            else:
                fold(child)


def linears_of(tower: nn.Module) -> list[nn.Module]:
    """Return the linear maps of a tower that `to_logit` made, the first one first."""
    return [layer for layer in tower.children() if not isinstance(layer, nn.ReLU)]


def to_made_towers(
    out_dims: Mapping[str, int],
    widths: Mapping[str, Sequence[int]],
    terms: nn.ModuleDict,
    terms_of: Callable[[str], Sequence[str]],
    make: Callable[..., MadeLinear],
) -> dict[str, nn.Module]:
    """Make towers that cells have in common as terms, and the tower of each cell of its terms.

    Args:
        out_dims: cell -> width of its tower's input, the same for all.
        widths: cell -> widths of its tower's hidden layers.
        terms: of the trunk, empty; the terms' towers are added.
        terms_of: names of a cell's terms.
        make: makes a linear map of a cell of those of its terms.

    Raises:
        ConfigError: towers have unequal widths.
    """
    hidden, in_dim = one_shape(widths), next(iter(out_dims.values()))
    names = dict.fromkeys(name for cell in out_dims for name in terms_of(cell))
    terms.update({name: to_logit(in_dim, hidden) for name in names})

    def tower_of(cell: str) -> nn.Module:
        layers = zip(*(linears_of(terms[name]) for name in terms_of(cell)), strict=True)
        return to_logit(in_dim, hidden, to_linear=lambda *_: make(*next(layers)))

    return {cell: tower_of(cell) for cell in out_dims}
