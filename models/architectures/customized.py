"""Customized sharing: a shared bottom beside each task's own; a task reads both, concatenated.

Tang et al., RecSys 2020, section 3.1 and fig. 1 (c): CGC without gates.

Letters: B rows, D input width, S and T widths of the shared and a task's bottom.
"""

from collections.abc import Sequence
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from core.config_model import Positive
from models.modules.experts import ExpertOptions, Experts, run_experts
from models.modules.graph import Graph
from models.modules.pairs import Rows
from models.modules.trunk import Architecture, Trunk


class CustomizedConfig(ExpertOptions):
    """`model.trunk` of architecture customized: widths of the shared bottom and of each task's."""

    shared_widths: Annotated[tuple[Positive, ...], Field(min_length=1)]
    task_widths: Annotated[tuple[Positive, ...], Field(min_length=1)]


class CustomizedTrunk(Trunk):
    """A shared bottom, and one per task.

    Args:
        in_dim: D.
        tasks: names of the outputs.
        config: widths of the bottoms.
    """

    def __init__(self, in_dim: int, tasks: Sequence[str], config: CustomizedConfig) -> None:
        super().__init__()
        self.shared = Experts(1, in_dim, config.shared_widths, config)
        self.bottoms = nn.ModuleDict(
            {f"{t}_bottom": Experts(1, in_dim, config.task_widths, config) for t in tasks}
        )
        self.out_dims = dict.fromkeys(tasks, config.shared_widths[-1] + config.task_widths[-1])

    def forward(self, x_BD: Rows, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to the concatenated bottoms of the wanted tasks (default: all), (B, S + T) each."""
        tasks = tuple(self.out_dims) if wanted is None else wanted
        shared_BS = self.shared(x_BD).squeeze(1)
        bottoms = {task: cast(Experts, self.bottoms[f"{task}_bottom"]) for task in tasks}
        own_B1T = run_experts(bottoms, dict.fromkeys(tasks, x_BD)).by_branch()
        return {task: torch.cat([shared_BS, own_B1T[task].squeeze(1)], dim=1) for task in tasks}

    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Draw the bottoms, and the concatenation of each task's two."""
        shared = graph.add("experts", "shared", [x])
        return {
            task: graph.join(task, "concat", [shared, graph.add("experts", f"bottoms.{task}_bottom", [x])])
            for task in self.out_dims
        }


ARCHITECTURE = Architecture(CustomizedConfig, CustomizedTrunk)
