"""Sluice: cross-stitch between halves of layers, and an output that mixes all layers.

Ruder, Bingel, Augenstein, Søgaard: "Latent Multi-task Architecture Learning", AAAI 2019 (arXiv 1705.08142).

Each layer of a task's network has two subspaces of equal width, which learn to be shared or kept.
alpha mixes the 2 K subspaces of a layer; beta mixes a task's layers into its output; a penalty
keeps the subspaces of a layer apart: the squared Frobenius norm of the product of their weights.

Differences from the paper: dense layers in place of LSTMs; beta is one number per layer and task, and
not followed by a projection.

Letters: B rows, D input width, S subspace width (a layer has 2 S), K tasks, L layers.
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


class SluiceConfig(ExpertOptions):
    """`model.trunk` of architecture sluice: L layers of two subspaces each, weight of the penalty."""

    layers: Positive
    subspace_width: Positive
    orthogonality: Annotated[float, Field(ge=0)] = 0.0


class SluiceTrunk(Trunk):
    """One network per task, of layers with two subspaces.

    Args:
        in_dim: D.
        tasks: names of the outputs.
        config: layers, and the weight of the penalty.
    """

    def __init__(self, in_dim: int, tasks: Sequence[str], config: SluiceConfig) -> None:
        super().__init__()
        self.orthogonality = config.orthogonality
        width = 2 * config.subspace_width
        # Two experts of one layer each are the two subspaces of a task's layer.
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    f"{task}_layer": Experts(2, width if j else in_dim, [config.subspace_width], config)
                    for task in tasks
                }
            )
            for j in range(config.layers)
        )
        self.alphas = nn.ParameterList(stitches(2 * len(tasks)) for _ in range(config.layers))
        self.beta_KL = nn.Parameter(torch.full((len(tasks), config.layers), 1 / config.layers))
        self.out_dims = dict.fromkeys(tasks, width)

    def forward(self, x_BD: Rows, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to the wanted tasks' outputs (default: all), (B, 2 S) each."""
        tasks = tuple(self.out_dims)
        branch_BD = dict.fromkeys(tasks, x_BD)
        of_layers: list[Tensor] = []
        for layers, alpha in zip(self.layers, self.alphas, strict=True):
            stacks = {task: cast(Experts, cast(nn.ModuleDict, layers)[f"{task}_layer"]) for task in tasks}
            outputs_B2S = run_experts(stacks, branch_BD).by_branch()
            mixed = alpha @ torch.cat([outputs_B2S[task] for task in tasks], dim=1)  # (B, 2 K, S)
            layer_BKW = mixed.unflatten(1, (len(tasks), -1)).flatten(2)
            branch_BD = dict(zip(tasks, layer_BKW.unbind(1), strict=True))
            of_layers.append(layer_BKW)
        out_BKW = (torch.stack(of_layers, dim=-1) * self.beta_KL[:, None, :]).sum(-1)
        outputs = dict(zip(tasks, out_BKW.unbind(1), strict=True))
        return outputs if wanted is None else {task: outputs[task] for task in wanted}

    def penalty(self) -> Tensor | None:
        """Return `orthogonality` times the sum over tasks and layers of || W1 W2^T ||^2, a scalar.

        W is the weight of a subspace, (S, width of the layer's input). None where `orthogonality` is 0.
        """
        if self.orthogonality == 0:
            return None
        total = torch.zeros((), device=self.beta_KL.device, dtype=self.beta_KL.dtype)
        for layers in self.layers:
            for stack in cast(nn.ModuleDict, layers).values():
                first_SD, second_SD = cast(Experts, stack).first.weight.chunk(2)
                total = total + (first_SD @ second_SD.T).square().sum()
        return self.orthogonality * total

    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Draw layers and stitches, one after the other, and the mixture of all layers."""
        branch, of_layers, width = dict.fromkeys(self.out_dims, x), [], max(self.out_dims.values())
        for j, alpha in enumerate(self.alphas):
            layer = [graph.add("experts", f"layers.{j}.{task}_layer", [branch[task]]) for task in branch]
            of_layers.append(graph.add("stitch", f"alphas.{j}", layer, flops=alpha.numel() * width))
            branch = dict.fromkeys(branch, of_layers[-1])
        return dict.fromkeys(
            branch, graph.add("mix", "beta_KL", of_layers, flops=2 * self.beta_KL.numel() * width)
        )


ARCHITECTURE = Architecture(SluiceConfig, SluiceTrunk)
