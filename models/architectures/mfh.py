"""MFH: tasks are the cells of several facets (behaviour x user group), reached by one tree a facet.

Liu, Xia, Lei, Li, Wang: "Multi-Faceted Hierarchical Multi-Task Learning for Recommender Systems",
CIKM 2022 (arXiv 2110.13365).

A switcher has one input and several outputs; any trunk with one output a name serves as one. Each
facet's tree is a switcher from x to the values of the facet and, for each value, a switcher to the
combinations of the other facets' values: of A behaviours and G groups 2 + A + G switchers. A cell is
reached once in each tree; it adds what it finds there.

Differences from the paper:
    1. Both trees use the same sizes of switchers, so that their vectors can be added. A level's switchers
       share one configuration, so numbers of experts by name cannot differ there: outputs of the trees do.

Letters: B rows, D input width, H output width of level 2.
"""

from collections.abc import Sequence
from itertools import product
from typing import Annotated, Any, Literal, cast

from pydantic import Field
from torch import Tensor, nn

from core.config_model import ConfigModel, Name
from core.errors import ConfigError
from models.modules.graph import Graph
from models.modules.trunk import CELL, Architecture, Facets, Trunk, find_architecture, make_trunk


class SwitcherConfig(ConfigModel):
    """A switcher: the architecture that serves as one, and its own `trunk`."""

    kind: Name
    trunk: dict[str, Any]


class FacetsConfig(ConfigModel):
    """What cells are made of: the cohort columns that are facets beside the tasks."""

    facets: Annotated[tuple[Literal["user_cohort", "item_cohort"], ...], Field(min_length=1)]


class TreeConfig(FacetsConfig):
    """What trees are made of: facets, and both levels."""

    level1: SwitcherConfig
    level2: SwitcherConfig


class MfhConfig(TreeConfig):
    """`model.trunk` of architecture mfh."""


class FacetTree(nn.Module):
    """The tree of one facet: x -> value of the facet -> cell.

    Args:
        in_dim: D.
        facets: all of them; a cell is one value of each, in this order.
        first: the facet whose values come first.
        config: both levels.
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

    def forward(self, x_BD: Tensor, cells: Sequence[str]) -> dict[str, Tensor]:
        """Map (B, D) to the wanted cells, (B, H) each; no switcher runs that none of them needs."""
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
        """Draw both levels; give the node of each of the cells."""
        first = self.level1.draw(graph.within("level1", f"{self.first} switcher"), x)
        second = {
            value: cast(Trunk, self.level2[f"{value}_switcher"]).draw(
                graph.within(f"level2.{value}_switcher", f"{value} switcher"), node
            )
            for value, node in first.items()
        }
        return {cell: second[value][rest] for cell in cells for value, rest in [self._split(cell)]}

    def out_dims(self, cells: Sequence[str]) -> dict[str, int]:
        """Widths of the cells."""
        found = {}
        for cell in cells:
            value, rest = self._split(cell)
            found[cell] = cast(Trunk, self.level2[f"{value}_switcher"]).out_dims[rest]
        return found

    def _split(self, cell: str) -> tuple[str, str]:
        values = cell.split(CELL)
        return values.pop(self.place), CELL.join(values)


class MfhTrunk(Trunk):
    """One tree a facet; a cell is the sum of what its trees hold for it.

    Args:
        in_dim: D.
        facets: all there are; those of `config.facets` are used, beside the tasks.
        config: facets and both levels.

    Raises:
        ConfigError: a facet that there is not, or vectors of different widths for one cell.
    """

    def __init__(self, in_dim: int, facets: Facets, config: MfhConfig) -> None:
        super().__init__()
        facets = own_facets(facets, config)
        self.trees = nn.ModuleDict({f"by_{name}": FacetTree(in_dim, facets, name, config) for name in facets})
        cells = cells_of(facets)
        widths = [cast(FacetTree, tree).out_dims(cells) for tree in self.trees.values()]
        for cell in cells:
            if len({of_tree[cell] for of_tree in widths}) > 1:
                raise ConfigError(
                    f"level2: cell {cell} has widths {[of_tree[cell] for of_tree in widths]} in "
                    "the facets' trees, which cannot be added; choose a switcher of one width for all outputs"
                )
        self.out_dims = widths[0]

    def forward(self, x_BD: Tensor, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to the wanted cells (default: all), (B, H) each.

        For the cells of one group this leaves out group-tree switchers of other groups and, in each
        behaviour's switcher, what only the other groups' outputs need.
        """
        cells = tuple(self.out_dims) if wanted is None else wanted
        first, *others = (tree(x_BD, cells) for tree in self.trees.values())
        return {cell: sum((tree[cell] for tree in others), start=first[cell]) for cell in cells}

    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Draw the trees, and the sum of what they hold for each cell."""
        cells = list(self.out_dims)
        trees = [
            cast(FacetTree, tree).draw(graph.within(f"trees.{name}", f"tree {name}"), x, cells)
            for name, tree in self.trees.items()
        ]
        return {cell: graph.join(cell, "sum", [tree[cell] for tree in trees]) for cell in cells}


def own_facets(facets: Facets, config: FacetsConfig) -> Facets:
    """The facets that a configuration wants, tasks first.

    Raises:
        ConfigError: there is none of a name, or one is named twice.
    """
    if len(set(config.facets)) < len(config.facets):
        raise ConfigError(f"facets names one of {list(config.facets)} twice")
    if missing := sorted(set(config.facets) - set(facets)):
        raise ConfigError(f"facets names {missing}; rows have {sorted(set(facets) - {'task'})}")
    return {name: facets[name] for name in ("task", *config.facets)}


def cells_of(facets: Facets) -> list[str]:
    """Names of all cells, the last facet running fastest."""
    return [CELL.join(cell) for cell in product(*facets.values())]


def to_switcher(in_dim: int, outputs: Sequence[str], config: SwitcherConfig, key: str) -> Trunk:
    """Make a switcher from one input, of width D, to the outputs.

    Raises:
        ConfigError: it has cells for outputs itself, works on the logits of tasks as ESMM and AITM do, or a
            part of it is at fault; messages begin with `key`.
    """
    try:
        if find_architecture(config.kind, key="kind").is_by_cell:
            raise ConfigError(
                f"kind {config.kind} has cells for outputs; a switcher has the values of one facet"
            )
        switcher = make_trunk(config.kind, in_dim, {"task": outputs}, config.trunk)
        if type(switcher).link is not Trunk.link or type(switcher).row_penalty is not Trunk.row_penalty:
            raise ConfigError(f"kind {config.kind} works on the logits of tasks, and a switcher has none")
        return switcher
    except ConfigError as error:
        raise ConfigError(f"{key}.{error}") from error


ARCHITECTURE = Architecture(MfhConfig, MfhTrunk, is_by_cell=True)
