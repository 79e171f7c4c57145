"""The tree of one facet, of which H-MTL has one and MFH one per facet (Liu et al., CIKM 2022).

Letters: B rows, D input width, H output width of level 2.
"""

from collections.abc import Sequence
from itertools import product
from typing import cast

from torch import Tensor, nn

from models.modules.facets import FacetsConfig, SwitcherConfig, to_switcher
from models.modules.graph import Graph
from models.modules.pairs import Rows
from models.modules.trunk import CELL, Facets, Trunk


class TreeConfig(FacetsConfig):
    """What trees are made of: facets, level 0 below them, and both levels."""

    level1: SwitcherConfig
    level2: SwitcherConfig


class FacetTree(nn.Module):
    """The tree of one facet: input -> value of the facet -> cell.

    Args:
        in_dim: D.
        facets: all of them; a cell is one value of each, in this order.
        first: the facet whose values come first.
        config: both levels.

    Raises:
        ConfigError: a switcher of a level is invalid.
    """

    def __init__(self, in_dim: int, facets: Facets, first: str, config: TreeConfig) -> None:
        super().__init__()
        self.first, self.place = first, list(facets).index(first)
        others = [CELL.join(rest) for rest in product(*(v for name, v in facets.items() if name != first))]
        self.level1 = to_switcher(in_dim, facets[first], config.level1, "level1")
        self.level2 = nn.ModuleDict(
            {
                f"{value}_switcher": to_switcher(width, others, config.level2, "level2")
                for value, width in self.level1.out_dims.items()
            }
        )

    def forward(self, x_BD: Rows, cells: Sequence[str]) -> dict[str, Tensor]:
        """Map (B, D) to the wanted cells, (B, H) each; only switchers that one of them needs run."""
        others_of: dict[str, dict[str, str]] = {}  # value of this facet -> others' values -> cell
        for cell in cells:
            value, rest = self._split(cell)
            others_of.setdefault(value, {})[rest] = cell
        first = self.level1(x_BD, list(others_of))
        return {
            cell_of[rest]: y_BH
            for value, cell_of in others_of.items()
            for rest, y_BH in self.level2[f"{value}_switcher"](first[value], list(cell_of)).items()
        }

    def draw(self, graph: Graph, x: str, cells: Sequence[str]) -> dict[str, str]:
        """Draw both levels; return the node of each of the cells."""
        first = self.level1.draw(graph.within("level1", f"{self.first} switcher"), x)
        second = {
            value: cast(Trunk, self.level2[f"{value}_switcher"]).draw(
                graph.within(f"level2.{value}_switcher", f"{value} switcher"), node
            )
            for value, node in first.items()
        }
        return {cell: second[value][rest] for cell in cells for value, rest in [self._split(cell)]}

    def out_dims(self, cells: Sequence[str]) -> dict[str, int]:
        """Return the widths of the cells."""
        found = {}
        for cell in cells:
            value, rest = self._split(cell)
            found[cell] = cast(Trunk, self.level2[f"{value}_switcher"]).out_dims[rest]
        return found

    def _split(self, cell: str) -> tuple[str, str]:
        """Return a cell's value of this facet, and its values of the others."""
        values = cell.split(CELL)  # no list.pop: torch.compile cannot trace it here
        return values[self.place], CELL.join(values[: self.place] + values[self.place + 1 :])
