"""MFH: tasks are the cells of several facets (behaviour x user group), reached by one tree per facet.

Liu, Xia, Lei, Li, Wang: "Multi-Faceted Hierarchical Multi-Task Learning for Recommender Systems",
CIKM 2022 (arXiv 2110.13365).

Level 0 (appendix, Fig. 11 and A.4), an option: layers x -> h that all trees read; without it h is x.
Each facet's tree is a switcher from h to the values of the facet and, for each value, a switcher to the
combinations of the other facets' values: of A behaviours and G groups 2 + A + G switchers. A cell is an
output of each tree; its vector is the sum of these outputs.

Differences from the paper:
    1. Both trees use the same sizes of switchers, so that their vectors can be added. A level's switchers
       share one configuration, so numbers of experts by name cannot differ there: outputs of the trees do.
    2. Outputs of the trees are added, and gates may be sigmoids, as in the authors' published code.

Letters: B rows, D input width, H output width of level 2.
"""

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from core.errors import ConfigError
from models.modules.facets import Level0, cells_of, own_facets
from models.modules.graph import Graph
from models.modules.pairs import Rows
from models.modules.tree import FacetTree, TreeConfig
from models.modules.trunk import Architecture, Facets, Trunk


class MfhConfig(TreeConfig):
    """`model.trunk` of architecture mfh."""


class MfhTrunk(Trunk):
    """One tree per facet; a cell is the sum of its outputs in all trees.

    Args:
        in_dim: D.
        facets: all facets of the rows; those of `config.facets` are used, beside the tasks.
        config: facets and all levels.

    Raises:
        ConfigError: a facet does not exist, or the vectors of a cell differ in width between trees.
    """

    def __init__(self, in_dim: int, facets: Facets, config: MfhConfig) -> None:
        super().__init__()
        facets = own_facets(facets, config)
        self.level0 = Level0(in_dim, config.level0)
        self.trees = nn.ModuleDict(
            {f"by_{name}": FacetTree(self.level0.out_dim, facets, name, config) for name in facets}
        )
        cells = cells_of(facets)
        widths = [cast(FacetTree, tree).out_dims(cells) for tree in self.trees.values()]
        for cell in cells:
            if len({of_tree[cell] for of_tree in widths}) > 1:
                raise ConfigError(
                    f"level2: cell {cell} has widths {[of_tree[cell] for of_tree in widths]} in "
                    "the facets' trees, which cannot be added; choose a switcher of one width for all outputs"
                )
        self.out_dims = widths[0]

    def forward(self, x_BD: Rows, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to the wanted cells (default: all), (B, H) each.

        For the cells of one group this leaves out group-tree switchers of other groups and, in each
        behaviour's switcher, what only the other groups' outputs need.
        """
        cells, h_BH = tuple(self.out_dims) if wanted is None else wanted, self.level0(x_BD)
        first, *others = (tree(h_BH, cells) for tree in self.trees.values())
        return {cell: sum((tree[cell] for tree in others), start=first[cell]) for cell in cells}

    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Draw level 0, the trees, and the sum of their outputs for each cell."""
        cells, h = list(self.out_dims), self.level0.draw(graph.within("level0"), x)
        trees = [
            cast(FacetTree, tree).draw(graph.within(f"trees.{name}", f"tree {name}"), h, cells)
            for name, tree in self.trees.items()
        ]
        return {cell: graph.join(cell, "sum", [tree[cell] for tree in trees]) for cell in cells}


ARCHITECTURE = Architecture(MfhConfig, MfhTrunk, is_by_cell=True)
