"""Outputs that are cells of several facets (behaviour x user group): their names, and what leads to them.

Liu, Xia, Lei, Li, Wang: "Multi-Faceted Hierarchical Multi-Task Learning for Recommender Systems",
CIKM 2022 (arXiv 2110.13365). A switcher has one input and several outputs; any trunk with one output per
name serves as one. Level 0 is the switcher below all others (appendix, Fig. 11 and A.4).

Letters: B rows, D input width, H width of level 0.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor, nn

from core.config_model import ConfigModel, Name, Positive
from core.errors import ConfigError
from models.modules.columns import Layout
from models.modules.experts import ExpertOptions, Experts
from models.modules.graph import Graph
from models.modules.pairs import Rows
from models.modules.trunk import CELL, Facets, Trunk, find_architecture, make_trunk

OF_LOGITS = ("make_towers", "link", "row_penalty")
"""Methods that act beyond a trunk's outputs; inside of another trunk nobody calls them."""


class SwitcherConfig(ConfigModel):
    """A switcher: the architecture that serves as one, and its own `trunk`."""

    kind: Name
    trunk: dict[str, Any]


class Level0Config(ExpertOptions):
    """Level 0: layers that all cells share, between the input and everything else."""

    widths: Annotated[tuple[Positive, ...], Field(min_length=1)]


class CellsConfig(ConfigModel):
    """What all architectures with cells have.

    facets: the cohort columns that are facets beside the tasks.
    """

    facets: Annotated[tuple[Literal["user_cohort", "item_cohort"], ...], Field(min_length=1)]


class FacetsConfig(CellsConfig):
    """Facets, and level 0; None leaves it out."""

    level0: Level0Config | None = None


class Level0(nn.Module):
    """Shared layers x -> h, which every cell reads; without a configuration h is x.

    Args:
        in_dim: D.
        config: widths and options of the layers.
    """

    def __init__(self, in_dim: int, config: Level0Config | None) -> None:
        super().__init__()
        self.bottom = None if config is None else Experts(1, in_dim, config.widths, config)
        self.out_dim = in_dim if config is None else config.widths[-1]

    def forward(self, x_BD: Rows) -> Rows:
        """Map (B, D) to (B, H)."""
        if self.bottom is None:
            return x_BD
        h_B1H: Tensor = self.bottom(x_BD)
        return h_B1H.squeeze(1)

    def draw(self, graph: Graph, x: str) -> str:
        """Draw the layers; return the node of h."""
        return x if self.bottom is None else graph.add("experts", "bottom", [x], label="level 0")


def own_facets(facets: Facets, config: CellsConfig) -> Facets:
    """Return the facets that a configuration names, tasks first.

    Raises:
        ConfigError: a facet does not exist, or is named twice.
    """
    if len(set(config.facets)) < len(config.facets):
        raise ConfigError(f"facets names one of {list(config.facets)} twice")
    if missing := sorted(set(config.facets) - set(facets)):
        raise ConfigError(f"facets names {missing}; rows have {sorted(set(facets) - {'task'})}")
    return {name: facets[name] for name in ("task", *config.facets)}


def cells_of(facets: Facets) -> list[str]:
    """Return the names of all cells; the last facet varies fastest."""
    return [CELL.join(cell) for cell in product(*facets.values())]


def one_shape(widths: Mapping[str, Sequence[int]]) -> Sequence[int]:
    """Return the widths that all towers have, where they are made of common terms.

    Args:
        widths: cell -> widths of its tower's hidden layers.

    Raises:
        ConfigError: they differ.
    """
    first = next(iter(widths.values()))
    if unequal := sorted(cell for cell, own in widths.items() if tuple(own) != tuple(first)):
        raise ConfigError(
            f"towers: {unequal} have other widths than {next(iter(widths))}, but all towers of this "
            "architecture are made of common terms; set `tower` alone"
        )
    return first


def to_switcher(in_dim: int, outputs: Sequence[str], config: SwitcherConfig, key: str) -> Trunk:
    """Build a switcher from one input, of width D, to the outputs.

    Raises:
        ConfigError: its outputs are cells themselves, it reads columns, it works on the logits of tasks as
            ESMM and AITM do, or a part of it is invalid; messages begin with `key`.
    """
    try:
        architecture = find_architecture(config.kind, key="kind")
        if architecture.is_by_cell:
            raise ConfigError(
                f"kind {config.kind} has cells for outputs; a switcher has the values of one facet"
            )
        if architecture.reads_columns:
            raise ConfigError(f"kind {config.kind} reads columns of a row, and a switcher reads a vector")
        switcher = make_trunk(config.kind, Layout(in_dim), {"task": outputs}, config.trunk)
        if any(getattr(type(switcher), own) is not getattr(Trunk, own) for own in OF_LOGITS):
            raise ConfigError(f"kind {config.kind} works on the logits of tasks, and a switcher has none")
        return switcher
    except ConfigError as error:
        raise ConfigError(f"{key}.{error}") from error
