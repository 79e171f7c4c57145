"""Cross-stitch: one network per task; learnt weights mix their outputs after each layer.

Misra, Shrivastava, Gupta, Hebert: "Cross-stitch Networks for Multi-task Learning", CVPR 2016, eq. 1.

Differences from the paper: dense layers in place of convolutions, and one alpha per pair of tasks and
layer, in place of one per pair and channel.

Letters: B rows, D input width, H layer width, K tasks.
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
from models.modules.stitches import stitches
from models.modules.trunk import Architecture, Trunk


class CrossStitchConfig(ExpertOptions):
    """`model.trunk` of architecture cross_stitch: widths of the layers of each task's network."""

    widths: Annotated[tuple[Positive, ...], Field(min_length=1)]


class CrossStitchTrunk(Trunk):
    """One network per task, stitched together after each layer.

    Args:
        in_dim: D.
        tasks: names of the outputs.
        config: widths of the layers.
    """

    def __init__(self, in_dim: int, tasks: Sequence[str], config: CrossStitchConfig) -> None:
        super().__init__()
        dims = [in_dim, *config.widths]
        self.layers = nn.ModuleList(
            nn.ModuleDict({f"{task}_layer": Experts(1, d, [h], config) for task in tasks})
            for d, h in zip(dims, config.widths, strict=False)
        )
        self.widths = config.widths
        self.alphas = nn.ParameterList(stitches(len(tasks)) for _ in config.widths)
        self.out_dims = dict.fromkeys(tasks, config.widths[-1])

    def forward(self, x_BD: Rows, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to the wanted tasks' outputs (default: all), (B, H) each."""
        tasks = tuple(self.out_dims)
        branch_BD = dict.fromkeys(tasks, x_BD)
        for layers, alpha_KK in zip(self.layers, self.alphas, strict=True):
            stacks = {task: cast(Experts, cast(nn.ModuleDict, layers)[f"{task}_layer"]) for task in tasks}
            outputs_B1H = run_experts(stacks, branch_BD).by_branch()
            layer_BKH = torch.cat([outputs_B1H[task] for task in tasks], dim=1)
            stitched_BKH = alpha_KK @ layer_BKH
            branch_BD = dict(zip(tasks, stitched_BKH.unbind(1), strict=True))
        outputs = cast(dict[str, Tensor], branch_BD)
        return outputs if wanted is None else {task: outputs[task] for task in wanted}

    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Draw layers and stitches, one after the other."""
        branch = dict.fromkeys(self.out_dims, x)
        for j, width in enumerate(self.widths):
            layer = [graph.add("experts", f"layers.{j}.{task}_layer", [branch[task]]) for task in branch]
            branch = dict.fromkeys(
                branch, graph.add("stitch", f"alphas.{j}", layer, flops=2 * len(layer) ** 2 * width)
            )
        return branch


ARCHITECTURE = Architecture(CrossStitchConfig, CrossStitchTrunk)
