"""One bottom per task: the whole of single task, and what ESMM and AITM link by chains.

Letters: B rows, D input width, H bottom width.
"""

from collections.abc import Sequence
from typing import Annotated, cast

from pydantic import Field
from torch import Tensor, nn

from core.config_model import Positive
from models.modules.experts import ExpertOptions, Experts, run_experts
from models.modules.graph import Graph
from models.modules.pairs import Rows
from models.modules.trunk import Trunk


class BottomsConfig(ExpertOptions):
    """Widths of the layers of each task's bottom."""

    widths: Annotated[tuple[Positive, ...], Field(min_length=1)]


class TaskBottoms(Trunk):
    """One bottom per task.

    Args:
        in_dim: D.
        tasks: names of the outputs.
        config: widths of the bottoms.
    """

    def __init__(self, in_dim: int, tasks: Sequence[str], config: BottomsConfig) -> None:
        super().__init__()
        self.bottoms = nn.ModuleDict(
            {f"{task}_bottom": Experts(1, in_dim, config.widths, config) for task in tasks}
        )
        self.out_dims = dict.fromkeys(tasks, config.widths[-1])

    def forward(self, x_BD: Rows, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to the wanted tasks' bottoms (default: all), (B, H) each."""
        tasks = tuple(self.out_dims) if wanted is None else wanted
        bottoms = {task: cast(Experts, self.bottoms[f"{task}_bottom"]) for task in tasks}
        outputs = run_experts(bottoms, dict.fromkeys(tasks, x_BD)).by_branch()
        return {task: y_B1H.squeeze(1) for task, y_B1H in outputs.items()}

    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Draw the bottoms."""
        return {task: graph.add("experts", f"bottoms.{task}_bottom", [x]) for task in self.out_dims}
