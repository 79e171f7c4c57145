"""MMoE, and ML-MMoE, which has several levels: all tasks share all experts, each task has its own gate.

Ma, Zhao, Yi, Chen, Hong, Chi: "Modeling Task Relationships in Multi-task Learning with Multi-gate
Mixture-of-Experts", KDD 2018, eq. 5-7. ML-MMoE: Tang et al., RecSys 2020, section 5.1, which compares with
it and has no equations.

Differences from the papers:
    1. ML-MMoE: every expert above the first level has a gate of its own one level down, so that experts
       of a level read different mixtures; all gates select by x, as MMoE's do.
    2. A gate may be a sigmoid divided by the number of experts.

Letters: B rows, D input width, N experts of a level, H expert width.
"""

from collections.abc import Sequence
from typing import Annotated, cast

from pydantic import Field
from torch import Tensor, nn

from core.config_model import ConfigModel, Positive
from models.modules.experts import ExpertOptions, Experts, GateKind, Gates, Mixture, run_experts
from models.modules.graph import Graph
from models.modules.pairs import Rows
from models.modules.trunk import Architecture, Trunk


class MmoeLevelConfig(ExpertOptions):
    """One level: N experts, widths of their layers."""

    experts: Positive
    expert_widths: Annotated[tuple[Positive, ...], Field(min_length=1)]
    gate: GateKind = "softmax"


class MmoeConfig(ConfigModel):
    """`model.trunk` of architecture mmoe; one level is MMoE, more are ML-MMoE."""

    levels: Annotated[tuple[MmoeLevelConfig, ...], Field(min_length=1)]


class MmoeTrunk(Trunk):
    """Levels of experts, mixed for the experts of the next level, and after the last for the tasks.

    Args:
        in_dim: D.
        tasks: names of the outputs.
        config: the levels.
    """

    def __init__(self, in_dim: int, tasks: Sequence[str], config: MmoeConfig) -> None:
        super().__init__()
        # The first level's experts all read x, so they are one stack; later ones read a mixture each.
        first, *later = config.levels
        stacks = [{"all": Experts(first.experts, in_dim, first.expert_widths, first)}]
        width = first.expert_widths[-1]
        for level in later:
            stacks.append(
                {f"{n}": Experts(1, width, level.expert_widths, level) for n in range(level.experts)}
            )
            width = level.expert_widths[-1]
        self.experts = nn.ModuleList(nn.ModuleDict(stack) for stack in stacks)
        readers = [[*stack] for stack in stacks[1:]] + [[*tasks]]
        self.gates = nn.ModuleList(
            Gates(in_dim, dict.fromkeys(names, level.experts), level.gate)
            for names, level in zip(readers, config.levels, strict=True)
        )
        self.levels = nn.ModuleList(Mixture() for _ in config.levels)
        self.out_dims = dict.fromkeys(tasks, width)

    def forward(self, x_BD: Rows, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to the mixtures of the wanted tasks (default: all), (B, H) each."""
        levels = [cast(nn.ModuleDict, experts) for experts in self.experts]
        tasks = tuple(self.out_dims) if wanted is None else wanted
        inputs: dict[str, Rows] = {"all": x_BD}
        readers_of_levels: list[Sequence[str]] = [*(list(level) for level in levels[1:]), tasks]
        for experts, gates, mixture, readers in zip(
            levels, self.gates, self.levels, readers_of_levels, strict=True
        ):
            stacks = {name: cast(Experts, stack) for name, stack in experts.items()}
            outputs = run_experts(stacks, inputs)
            weights_BN = gates(dict.fromkeys(readers, x_BD), readers)
            inputs = mixture(outputs, weights_BN, {name: tuple(stacks) for name in readers})
        return cast(dict[str, Tensor], inputs)

    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Draw experts and gates, level by level; all gates select by x."""
        inputs = {"all": x}
        for j, (experts, gates) in enumerate(zip(self.experts, self.gates, strict=True)):
            stacks = [
                graph.add(
                    "experts",
                    f"experts.{j}.{name}",
                    [inputs[name]],
                    label="experts" if name == "all" else f"expert {name}",
                )
                for name in cast(nn.ModuleDict, experts)
            ]
            inputs = {
                name.removesuffix("_gate"): graph.add(
                    "gate", f"gates.{j}.linear.{name}", stacks, selectors=[x]
                )
                for name in cast(Gates, gates).linear
            }
        return inputs


ARCHITECTURE = Architecture(MmoeConfig, MmoeTrunk)
