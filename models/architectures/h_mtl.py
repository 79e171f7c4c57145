"""H-MTL: cells of behaviour x user group, reached by one tree; MFH without the other trees.

Liu, Xia, Lei, Li, Wang: "Multi-Faceted Hierarchical Multi-Task Learning for Recommender Systems",
CIKM 2022 (arXiv 2110.13365), where it is the step between one flat trunk and MFH. Level 0 (appendix, A.4)
is an option, as in MFH.

Letters: B rows, D input width, H output width of level 2.
"""

from collections.abc import Sequence
from typing import Literal, cast

from torch import Tensor

from core.errors import ConfigError
from models.modules.facets import Level0, cells_of, own_facets
from models.modules.graph import Graph
from models.modules.pairs import Rows
from models.modules.tree import FacetTree, TreeConfig
from models.modules.trunk import Architecture, Facets, Trunk


class HMtlConfig(TreeConfig):
    """`model.trunk` of architecture h_mtl; `first` is the facet that level 1 splits by."""

    first: Literal["task", "user_cohort", "item_cohort"] = "task"


class HMtlTrunk(Trunk):
    """One tree.

    Args:
        in_dim: D.
        facets: all facets of the rows; those of `config.facets` are used, beside the tasks.
        config: facets, the first one, all levels.

    Raises:
        ConfigError: a facet does not exist, or `first` is not among the facets.
    """

    def __init__(self, in_dim: int, facets: Facets, config: HMtlConfig) -> None:
        super().__init__()
        facets = own_facets(facets, config)
        if config.first not in facets:
            raise ConfigError(f"first is {config.first}, but with these facets it is one of {list(facets)}")
        self.level0 = Level0(in_dim, config.level0)
        self.tree = FacetTree(self.level0.out_dim, facets, config.first, config)
        self.out_dims = self.tree.out_dims(cells_of(facets))

    def forward(self, x_BD: Rows, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to the wanted cells (default: all), (B, H) each."""
        cells = tuple(self.out_dims) if wanted is None else wanted
        found = self.tree(self.level0(x_BD), cells)
        return {cell: cast(Tensor, found[cell]) for cell in cells}

    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Draw level 0 and the tree."""
        h = self.level0.draw(graph.within("level0"), x)
        return self.tree.draw(graph.within("tree", f"tree by_{self.tree.first}"), h, list(self.out_dims))


ARCHITECTURE = Architecture(HMtlConfig, HMtlTrunk, is_by_cell=True)
