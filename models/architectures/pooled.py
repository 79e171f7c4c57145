"""Partial pooling: the tower of a cell is what all cells have in common, plus what sets it apart.

Ours. One shared bottom; every parameter of the tower of cell (a, g), behaviour a of cohort g, is a sum

    theta_ag = theta + theta_a + theta_g + theta_(a,g)        a term for each subset of the facets

whose deviations (all terms but the first) start at zero and have a prior N(0, 1 / p_s), one precision p_s for
each subset s and layer. Their negative log density is part of the loss. So a cell without rows predicts as
its parents do, one with many rows is free, and in between counts what rows say against the prior (Gelman,
Hill: "Data Analysis Using Regression and Multilevel/Hierarchical Models", 2007, chapter 12, for linear
models). Precisions are learnt from the data after each epoch by empirical Bayes (models/modules/evidence.py);
in the first epoch deviations are free. For scoring all terms of a cell fold into one matrix per layer.
docs/models/pooled.md derives this.

Letters: B rows, D input width, J and H widths of a layer, C cells, T terms, K tasks, G groups.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, combinations
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from core.config_model import Positive
from models.modules.evidence import TermPriors
from models.modules.experts import ExpertOptions, Experts
from models.modules.facets import CellsConfig, cells_of, own_facets
from models.modules.graph import Graph
from models.modules.made import MadeLinear, linears_of, to_made_towers
from models.modules.pairs import Rows
from models.modules.trunk import CELL, Architecture, Facets, Trunk

ALL = "all"
"""The term of the empty subset: what all cells have in common."""


class PooledConfig(CellsConfig, ExpertOptions):
    """`model.trunk` of architecture pooled: facets, and widths of the shared bottom."""

    widths: Annotated[tuple[Positive, ...], Field(min_length=1)]


class SumLinear(MadeLinear):
    """A linear map whose weight and bias are sums of those of others, which the trunk registers."""

    def __init__(self, *terms: nn.Linear) -> None:
        super().__init__()
        self._terms = terms

    def made(self) -> tuple[Tensor, Tensor]:
        """Return weight, (H, J), and bias, (H,)."""
        weights, biases = zip(*((term.weight, term.bias) for term in self._terms), strict=True)
        return torch.stack(weights).sum(0), torch.stack(biases).sum(0)


class PooledTrunk(Trunk):
    """A shared bottom, and terms of towers.

    Args:
        in_dim: D.
        facets: all facets of the rows; those of `config.facets` are used, beside the tasks.
        config: facets and widths.

    Raises:
        ConfigError: a facet does not exist.
    """

    def __init__(self, in_dim: int, facets: Facets, config: PooledConfig) -> None:
        super().__init__()
        self.facets = own_facets(facets, config)
        self.bottom = Experts(1, in_dim, config.widths, config)
        self.terms = nn.ModuleDict()
        self.out_dims = dict.fromkeys(cells_of(self.facets), config.widths[-1])

    def forward(self, x_BD: Rows, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to the bottom's output, (B, H), the very same for each wanted cell (default: all)."""
        return dict.fromkeys(self.out_dims if wanted is None else wanted, self.bottom(x_BD).squeeze(1))

    def make_towers(self, widths: Mapping[str, Sequence[int]]) -> dict[str, nn.Module]:
        """Make the terms, and towers that are sums of them.

        Raises:
            ConfigError: `towers` gives some of them other widths.
        """
        towers = to_made_towers(self.out_dims, widths, self.terms, self._terms_of, SumLinear)
        for name in self.terms:
            if name != ALL:
                for parameter in self.terms[name].parameters():
                    nn.init.zeros_(parameter)
        places = {name: place for place, name in enumerate(self.terms)}
        subsets = {name: n for n, name in enumerate(dict.fromkeys(map(_subset_of, places)))}  # of ALL: 0
        self.priors = TermPriors(
            reads=[[places[name] for name in self._terms_of(cell)] for cell in self.out_dims],
            subsets=[subsets[_subset_of(name)] for name in places],
            layers=len(linears_of(self.terms[ALL])),
        )
        return towers

    def penalty(self) -> Tensor | None:
        """Return the negative log density of the deviations under their priors, an update's share of it."""
        return self.priors.penalty(self._values())

    def before_step(self, row_weights_KG: Tensor) -> None:
        """Keep the gradients of each cell's own term, which are those of its tower."""
        own = self._layers(self._terms_of(cell)[-1] for cell in self.out_dims)
        gradients = [
            _stacked((cast(Tensor, x.weight.grad), cast(Tensor, x.bias.grad)) for x in layers)
            for layers in own
        ]
        with torch.no_grad():
            self.priors.add(row_weights_KG.flatten(), gradients, self._values())

    def after_epoch(self) -> None:
        """Learn the variances of the priors anew."""
        self.priors.learn()

    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Draw the bottom and the terms."""
        bottom = graph.add("experts", "bottom", [x])
        for name in self.terms:
            graph.add("module", f"terms.{name}", [], flops=0, label=name)
        return dict.fromkeys(self.out_dims, bottom)

    def draw_terms(self, graph: Graph, output: str) -> Sequence[str]:
        """Return the terms of an output's tower."""
        return [graph.name_of(f"terms.{name}") for name in self._terms_of(output)]

    def _terms_of(self, cell: str) -> list[str]:
        """Return the names of a cell's terms: what all have in common first, the cell's own last."""
        named = [f"{facet}={value}" for facet, value in zip(self.facets, cell.split(CELL), strict=True)]
        subsets = chain.from_iterable(combinations(named, size) for size in range(len(named) + 1))
        return [" ".join(subset) or ALL for subset in subsets]

    def _layers(self, names: Iterable[str]) -> Iterator[tuple[nn.Linear, ...]]:
        """Yield the linear maps of some terms, layer by layer of a tower."""
        yield from zip(*(cast(list[nn.Linear], linears_of(self.terms[name])) for name in names), strict=True)

    def _values(self) -> list[Tensor]:
        """Return the parameters of all terms, (T, H, J) for each layer."""
        return [_stacked((x.weight, x.bias) for x in layers) for layers in self._layers(self.terms)]


def _subset_of(name: str) -> str:
    """Return the facets of a term."""
    return " ".join(part.partition("=")[0] for part in name.split())


def _stacked(layers: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Return weights, (H, J), with biases, (H,), as their last column, of several layers."""
    return torch.stack([torch.cat([weight, bias[:, None]], dim=1) for weight, bias in layers])


ARCHITECTURE = Architecture(PooledConfig, PooledTrunk, is_by_cell=True)
