"""AITM: a task that can only follow another (buy after click) also reads what the earlier one has learnt.

Xi, Chen, Yan, Zhang, Zhu, Zhuang, Chen: "Modeling the Sequential Dependence among Audience Multi-step
Conversions with Multi-task Learning in Targeted Display Advertising", KDD 2021 (arXiv 2105.08489). For
task t, which follows task t - 1, with q_t the output of its own bottom:

    p_{t-1} = relu(g(z_{t-1}))                      information transferred
    w_u = softmax of <h2(u), h3(u)> / sqrt(H)       over u in {p_{t-1}, q_t}
    z_t = sum of w_u h1(u)                          the AIT module; z = q for a task that follows none
    loss += alpha mean of max(y_t - y_{t-1}, 0)     the behavioral expectation calibrator, y in [0, 1]

Differences from the paper:
    1. Several tasks may follow one, each with a g of its own.
    2. The calibrator is a mean over rows by their weights, as the tasks' losses are and as in the authors'
       code (github.com/xidongbo/AITM; its README gives alpha = 0.6), where the paper has a sum. It needs no
       label, so rows outside of a task's sample space count, too.
    3. No dropout.

Letters: B rows, D input width, H bottom width, K tasks, E pairs of a task and the one that it follows.
"""

from collections.abc import Sequence
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from core.config_model import Name
from core.schema import Task
from models.modules.bottoms import BottomsConfig, TaskBottoms
from models.modules.chains import chains_of, check_binary
from models.modules.graph import Graph
from models.modules.pairs import Rows
from models.modules.trunk import Architecture


class AitmConfig(BottomsConfig):
    """`model.trunk` of architecture aitm: bottoms, task -> the task that it can only follow, alpha.

    Tasks of `after` are binary: the calibrator compares their probabilities.
    """

    after: dict[Name, Name]
    calibrator: Annotated[float, Field(ge=0)] = 0.6


class AitModule(nn.Module):
    """Attention over the transferred vector and the task's own (Xi et al.: AIT).

    Args:
        width: H.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.g = nn.Linear(width, width)
        self.h1, self.h2, self.h3 = (nn.Linear(width, width, bias=False) for _ in range(3))

    def forward(self, z_BH: Tensor, q_BH: Tensor) -> Tensor:
        """Map the earlier task's output and the own bottom's, (B, H) each, to the own output, (B, H)."""
        u_B2H = torch.stack([self.g(z_BH).relu(), q_BH], dim=1)
        scores_B2 = (self.h2(u_B2H) * self.h3(u_B2H)).sum(2) / u_B2H.shape[2] ** 0.5
        mixed_BH: Tensor = (scores_B2.softmax(1)[:, :, None] * self.h1(u_B2H)).sum(1)
        return mixed_BH


class AitmTrunk(TaskBottoms):
    """One bottom per task, and transfer along the chains.

    Args:
        in_dim: D.
        tasks: names of the outputs.
        config: widths of the bottoms, the chains, weight of the calibrator.

    Raises:
        ConfigError: `after` names what is no task, or is a cycle.
    """

    def __init__(self, in_dim: int, tasks: Sequence[str], config: AitmConfig) -> None:
        super().__init__(in_dim, tasks, config)
        self.chains = chains_of(config.after, tasks)
        self.transfers = nn.ModuleDict(
            {f"{task}_transfer": AitModule(config.widths[-1]) for task in config.after}
        )
        self.calibrator = config.calibrator
        self.pairs_E2 = [
            (tasks.index(later), tasks.index(earlier)) for later, earlier in config.after.items()
        ]

    def check(self, tasks: Sequence[Task]) -> None:
        """Refuse regressions in a chain."""
        check_binary(self.chains, tasks)

    def forward(self, x_BD: Rows, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to the outputs of the wanted tasks (default: all), (B, H) each."""
        tasks = tuple(self.out_dims) if wanted is None else wanted
        needed = list(dict.fromkeys(name for task in tasks for name in self.chains[task]))
        z_BH = super().forward(x_BD, needed)
        for task in needed:  # a chain has the earlier task first
            if len(self.chains[task]) > 1:
                earlier = self.chains[task][-2]
                z_BH[task] = cast(Tensor, self.transfers[f"{task}_transfer"](z_BH[earlier], z_BH[task]))
        return {task: z_BH[task] for task in tasks}

    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Draw the bottoms, and the transfer from each task to those that follow it."""
        bottoms = super().draw(graph, x)
        z: dict[str, str] = {}
        for task in sorted(bottoms, key=lambda task: len(self.chains[task])):  # the earlier ones first
            z[task] = bottoms[task]
            if len(self.chains[task]) > 1:
                reads = [z[self.chains[task][-2]], bottoms[task]]
                flops = 2 * self.out_dims[task] ** 2 * (1 + 3 * 2)  # g reads one vector, h1 to h3 read both
                z[task] = graph.add("module", f"transfers.{task}_transfer", reads, flops=flops)
        return {task: z[task] for task in self.out_dims}

    def row_penalty(self, logits_BK: Tensor) -> Tensor | None:
        """Return alpha times the excess of later tasks' probabilities over those that they follow, (B,)."""
        if not self.pairs_E2 or self.calibrator == 0:
            return None
        p_BK = logits_BK.sigmoid()
        excess = [(p_BK[:, later] - p_BK[:, earlier]).relu() for later, earlier in self.pairs_E2]
        return self.calibrator * torch.stack(excess).sum(0)


ARCHITECTURE = Architecture(AitmConfig, AitmTrunk)
