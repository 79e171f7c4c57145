"""Flat: one trunk over all cells of behaviour x user group, as if each were a task of its own.

What H-MTL and MFH are compared with (Liu, Xia, Lei, Li, Wang, CIKM 2022, arXiv 2110.13365): nothing tells
the trunk that two cells share a behaviour or a group.

Letters: B rows, D input width, H output width.
"""

from collections.abc import Sequence

from torch import Tensor

from models.architectures.mfh import FacetsConfig, SwitcherConfig, cells_of, own_facets, to_switcher
from models.modules.graph import Graph
from models.modules.trunk import Architecture, Facets, Trunk


class FlatConfig(FacetsConfig):
    """`model.trunk` of architecture flat: the facets beside the tasks, and what leads to all cells."""

    switcher: SwitcherConfig


class FlatTrunk(Trunk):
    """One switcher from x to all cells.

    Args:
        in_dim: D.
        facets: all there are; those of `config.facets` are used, beside the tasks.
        config: facets and the switcher.

    Raises:
        ConfigError: a facet that there is not, or a switcher at fault.
    """

    def __init__(self, in_dim: int, facets: Facets, config: FlatConfig) -> None:
        super().__init__()
        self.switcher = to_switcher(in_dim, cells_of(own_facets(facets, config)), config.switcher, "switcher")
        self.out_dims = self.switcher.out_dims

    def forward(self, x_BD: Tensor, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to the wanted cells (default: all), (B, H) each."""
        found: dict[str, Tensor] = self.switcher(x_BD, wanted)
        return found

    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Draw the switcher."""
        return self.switcher.draw(graph.within("switcher"), x)


ARCHITECTURE = Architecture(FlatConfig, FlatTrunk, is_by_cell=True)
