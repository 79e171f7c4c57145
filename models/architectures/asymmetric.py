"""Asymmetric sharing: a task may also read the bottoms of tasks that it depends on, but not vice versa.

Tang et al., RecSys 2020, section 3.1 and fig. 1 (b): which bottoms are shared depends on how the tasks
are related, and they are fused by concatenation, sum or average.

Letters: B rows, D input width, H bottom width.
"""

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from core.config_model import Name, Positive
from core.errors import ConfigError
from models.modules.experts import ExpertOptions, Experts, run_experts
from models.modules.graph import Graph
from models.modules.pairs import Rows
from models.modules.trunk import Architecture, Trunk


class AsymmetricConfig(ExpertOptions):
    """`model.trunk` of architecture asymmetric: widths of each bottom, task -> tasks that it also reads."""

    widths: Annotated[tuple[Positive, ...], Field(min_length=1)]
    reads: dict[Name, tuple[Name, ...]]
    fusion: Literal["concat", "sum", "mean"] = "concat"


class AsymmetricTrunk(Trunk):
    """One bottom per task, fused with those that the task reads.

    Args:
        in_dim: D.
        tasks: names of the outputs.
        config: bottoms, which task reads which, how they are fused.

    Raises:
        ConfigError: `reads` names what is no task, one task twice, or is a cycle.
    """

    def __init__(self, in_dim: int, tasks: Sequence[str], config: AsymmetricConfig) -> None:
        super().__init__()
        _check(config.reads, tasks)
        self.fusion = config.fusion
        self.sources = {task: (task, *config.reads.get(task, ())) for task in tasks}
        self.bottoms = nn.ModuleDict(
            {f"{task}_bottom": Experts(1, in_dim, config.widths, config) for task in tasks}
        )
        width = config.widths[-1]
        self.out_dims = {
            task: width * (len(sources) if config.fusion == "concat" else 1)
            for task, sources in self.sources.items()
        }

    def forward(self, x_BD: Rows, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to the fused bottoms of the wanted tasks (default: all), (B, H), or several H wide."""
        tasks = tuple(self.out_dims) if wanted is None else wanted
        needed = dict.fromkeys(source for task in tasks for source in self.sources[task])
        bottoms = {task: cast(Experts, self.bottoms[f"{task}_bottom"]) for task in needed}
        outputs_B1H = run_experts(bottoms, dict.fromkeys(needed, x_BD)).by_branch()
        return {task: self._fuse([outputs_B1H[s].squeeze(1) for s in self.sources[task]]) for task in tasks}

    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Draw the bottoms, and which task reads which."""
        bottoms = {task: graph.add("experts", f"bottoms.{task}_bottom", [x]) for task in self.sources}
        return {
            task: graph.join(task, self.fusion, [bottoms[source] for source in sources])
            for task, sources in self.sources.items()
        }

    def _fuse(self, parts_BH: list[Tensor]) -> Tensor:
        if self.fusion == "concat":
            return torch.cat(parts_BH, dim=1)
        total_BH = torch.stack(parts_BH).sum(0)
        return total_BH if self.fusion == "sum" else total_BH / len(parts_BH)


def _check(reads: dict[str, tuple[str, ...]], tasks: Sequence[str]) -> None:
    if twice := sorted(task for task, sources in reads.items() if len(set(sources)) < len(sources)):
        raise ConfigError(f"reads: {twice} name a task twice")
    named = set(reads) | {source for sources in reads.values() for source in sources}
    if unknown := sorted(named - set(tasks)):
        raise ConfigError(f"reads names {unknown}, but the outputs are {list(tasks)}")
    try:
        TopologicalSorter(reads).prepare()
    except CycleError as error:
        cycle = " reads ".join(error.args[1])
        raise ConfigError(f"reads is a cycle: {cycle}") from error


ARCHITECTURE = Architecture(AsymmetricConfig, AsymmetricTrunk)
