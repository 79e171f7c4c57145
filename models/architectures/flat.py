"""Flat: one trunk over all cells of behaviour x user group, as if each were a task of its own.

What H-MTL and MFH are compared with (Liu, Xia, Lei, Li, Wang, CIKM 2022, arXiv 2110.13365): the trunk
does not know that two cells share a behaviour or a group. Level 0 (appendix, A.4) is an option, as in MFH.

Letters: B rows, D input width, H output width.
"""

from collections.abc import Sequence

from torch import Tensor

from models.modules.facets import FacetsConfig, Level0, SwitcherConfig, cells_of, own_facets, to_switcher
from models.modules.graph import Graph
from models.modules.pairs import Rows
from models.modules.trunk import Architecture, Facets, Trunk


class FlatConfig(FacetsConfig):
    """`model.trunk` of architecture flat: facets, level 0, and the switcher to all cells."""

    switcher: SwitcherConfig


class FlatTrunk(Trunk):
    """One switcher to all cells.

    Args:
        in_dim: D.
        facets: all facets of the rows; those of `config.facets` are used, beside the tasks.
        config: facets, level 0 and the switcher.

    Raises:
        ConfigError: a facet does not exist, or the switcher is invalid.
    """

    def __init__(self, in_dim: int, facets: Facets, config: FlatConfig) -> None:
        super().__init__()
        self.level0 = Level0(in_dim, config.level0)
        cells = cells_of(own_facets(facets, config))
        self.switcher = to_switcher(self.level0.out_dim, cells, config.switcher, "switcher")
        self.out_dims = self.switcher.out_dims

    def forward(self, x_BD: Rows, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to the wanted cells (default: all), (B, H) each."""
        found: dict[str, Tensor] = self.switcher(self.level0(x_BD), wanted)
        return found

    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Draw level 0 and the switcher."""
        return self.switcher.draw(graph.within("switcher"), self.level0.draw(graph.within("level0"), x))


ARCHITECTURE = Architecture(FlatConfig, FlatTrunk, is_by_cell=True)
