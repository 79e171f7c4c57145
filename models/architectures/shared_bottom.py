"""Shared bottom: hard parameter sharing, one bottom for all tasks.

Caruana: "Multitask Learning", Machine Learning 28, 1997; Tang et al., RecSys 2020, fig. 1 (a).

Letters: B rows, D input width, H bottom width.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import Tensor

from core.config_model import Positive
from models.modules.experts import ExpertOptions, Experts
from models.modules.graph import Graph
from models.modules.pairs import Rows
from models.modules.trunk import Architecture, Trunk


class SharedBottomConfig(ExpertOptions):
    """`model.trunk` of architecture shared_bottom: widths of the bottom's layers."""

    widths: Annotated[tuple[Positive, ...], Field(min_length=1)]


class SharedBottomTrunk(Trunk):
    """One bottom.

    Args:
        in_dim: D.
        tasks: names of the outputs.
        config: widths of the bottom.
    """

    def __init__(self, in_dim: int, tasks: Sequence[str], config: SharedBottomConfig) -> None:
        super().__init__()
        self.bottom = Experts(1, in_dim, config.widths, config)
        self.out_dims = dict.fromkeys(tasks, config.widths[-1])

    def forward(self, x_BD: Rows, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to the bottom's output, (B, H), the very same for each wanted task (default: all)."""
        return dict.fromkeys(self.out_dims if wanted is None else wanted, self.bottom(x_BD).squeeze(1))

    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Draw the bottom; it is the node of all outputs."""
        return dict.fromkeys(self.out_dims, graph.add("experts", "bottom", [x]))


ARCHITECTURE = Architecture(SharedBottomConfig, SharedBottomTrunk)
