"""Partial pooling: the tower of a cell is what all cells have in common, plus what sets it apart.

Ours. One shared bottom; every parameter of the tower of cell (a, g), behaviour a of cohort g, is a sum

    theta_ag = theta + theta_a + theta_g + theta_(a,g)        a term for each subset of the facets

whose deviations (all terms but the first) start at zero and have a prior N(0, 1 / p_s), one precision p_s for
each subset s and tensor. The loss of N rows, a mean, gets their negative log density / N:
sum over s of p_s |theta_s|^2 / 2 N. So a cell without rows predicts as its parents do, one with many rows is
free, and in between counts what rows say against the prior (Gelman, Hill: "Data Analysis Using Regression
and Multilevel/Hierarchical Models", 2007, chapter 12, for linear models).

Precisions are learnt from the data, once per epoch, by empirical Bayes (MacKay: "Bayesian Interpolation",
Neural Computation 4, 1992, eq. 4.9, with a diagonal Hessian): with F_j the sum over the epoch's rows of squared
gradients of parameter j,

    gamma_j = F_j / (F_j + p_s)                    how far the data determine it, from 0 to 1
    p_s = (sum of gamma_j) / (sum of theta_j^2)    over all j of a subset and tensor

In the first epoch deviations are free. For scoring all terms of a cell fold into one matrix per layer.
docs/models/pooled.md derives this.

Letters: B rows, D input width, J and H widths of a layer, N rows of an epoch.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, combinations
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from core.config_model import Positive
from models.modules.experts import ExpertOptions, Experts, to_logit
from models.modules.facets import CellsConfig, cells_of, one_shape, own_facets
from models.modules.graph import Graph
from models.modules.made import MadeLinear, linears_of, to_made_tower
from models.modules.pairs import Rows
from models.modules.trunk import CELL, Architecture, Facets, Trunk

ALL = "all"
"""The term of the empty subset: what all cells have in common."""


class PooledConfig(CellsConfig, ExpertOptions):
    """`model.trunk` of architecture pooled: facets, and widths of the shared bottom."""

    widths: Annotated[tuple[Positive, ...], Field(min_length=1)]


class SumLinear(MadeLinear):
    """A linear map whose weight and bias are sums of those of others, which the trunk registers."""

    def __init__(self, terms: Sequence[nn.Linear]) -> None:
        super().__init__()
        self._terms = tuple(terms)

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
        self._squares: dict[str, list[Tensor]] = {}
        self._updates = 0

    def forward(self, x_BD: Rows, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to the bottom's output, (B, H), the very same for each wanted cell (default: all)."""
        return dict.fromkeys(self.out_dims if wanted is None else wanted, self.bottom(x_BD).squeeze(1))

    def make_towers(self, widths: Mapping[str, Sequence[int]]) -> dict[str, nn.Module]:
        """Make the terms, and towers that are sums of them.

        Raises:
            ConfigError: `towers` gives some of them other widths.
        """
        hidden, width = one_shape(widths), self.bottom.layers()[-1].bias.shape[1]
        names = dict.fromkeys(name for cell in self.out_dims for name in self._terms_of(cell))
        self.terms.update({name: to_logit(width, hidden) for name in names})
        for name in names:
            if name != ALL:
                for parameter in self.terms[name].parameters():
                    nn.init.zeros_(parameter)
        subsets = dict.fromkeys(self._subset_of(name) for name in names if name != ALL)
        sizes = len(list(self.terms[ALL].parameters()))
        for subset in subsets:
            self.register_buffer(f"{subset} precisions", torch.zeros(sizes))
        self.register_buffer("rows", torch.ones(()))
        self._subsets = {s: [n for n in names if n != ALL and self._subset_of(n) == s] for s in subsets}
        return {cell: self._tower(cell, width, hidden) for cell in self.out_dims}

    def penalty(self) -> Tensor | None:
        """Return the negative log density of the deviations under their prior, per row of an epoch."""
        parts = [
            precision * torch.stack([p.square().sum() for p in parameters]).sum()
            for subset in self._subsets
            for precision, parameters in zip(self._precisions(subset), self._tensors(subset), strict=True)
        ]
        return torch.stack(parts).sum() / (2 * cast(Tensor, self.rows))

    def after_step(self) -> None:
        """Add squared gradients."""
        self._updates += 1
        for subset in self._subsets:
            for place, parameters in enumerate(self._tensors(subset)):
                squares = torch.stack([cast(Tensor, p.grad).square() for p in parameters])
                sums = self._squares.setdefault(subset, [])
                if len(sums) <= place:
                    sums.append(squares)
                else:
                    sums[place] += squares

    def after_epoch(self, rows: int) -> None:
        """Learn the precisions anew."""
        per_update = rows / max(self._updates, 1)
        for subset, sums in self._squares.items():
            precisions = self._precisions(subset)
            for place, (squares, parameters) in enumerate(zip(sums, self._tensors(subset), strict=True)):
                information = squares * per_update**2
                determined = information / (information + precisions[place]).clamp(min=1e-12)
                size = torch.stack([p.detach() for p in parameters]).square().sum()
                precisions[place] = determined.sum() / size.clamp(min=1e-12)
        cast(Tensor, self.rows).fill_(rows)
        self._squares, self._updates = {}, 0

    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Draw the bottom and the terms."""
        bottom = graph.add("experts", "bottom", [x])
        for name in self.terms:
            graph.add("module", f"terms.{name}", [], flops=0, label=name)
        return dict.fromkeys(self.out_dims, bottom)

    def draw_terms(self, graph: Graph, output: str) -> Sequence[str]:
        """Return the terms of an output's tower."""
        return [graph.name_of(f"terms.{name}") for name in self._terms_of(output)]

    def _terms_of(self, cell: str) -> Iterator[str]:
        """Yield the names of a cell's terms, those that most cells have first."""
        named = [f"{facet}={value}" for facet, value in zip(self.facets, cell.split(CELL), strict=True)]
        subsets = chain.from_iterable(combinations(named, size) for size in range(len(named) + 1))
        return (" ".join(subset) or ALL for subset in subsets)

    @staticmethod
    def _subset_of(name: str) -> str:
        """Return the facets of a term."""
        return " ".join(part.partition("=")[0] for part in name.split())

    def _precisions(self, subset: str) -> Tensor:
        return cast(Tensor, getattr(self, f"{subset} precisions"))

    def _tensors(self, subset: str) -> Iterator[tuple[nn.Parameter, ...]]:
        """Yield the parameters of a subset's terms, tensor by tensor of a tower."""
        return zip(*(self.terms[name].parameters() for name in self._subsets[subset]), strict=True)

    def _tower(self, cell: str, width: int, hidden: Sequence[int]) -> nn.Module:
        terms = zip(*(linears_of(self.terms[name]) for name in self._terms_of(cell)), strict=True)
        return to_made_tower([SumLinear([cast(nn.Linear, t) for t in each]) for each in terms], width, hidden)


ARCHITECTURE = Architecture(PooledConfig, PooledTrunk, is_by_cell=True)
