"""PLE, and CGC, which is PLE with one level.

Tang, Liu, Zhao, Gong: "Progressive Layered Extraction (PLE): A Novel Multi-Task Learning Model for
Personalized Recommendations", RecSys 2020. Equations are numbered as there.

Differences from the paper:
    1. Experts may be deeper than one layer; they differ in number by task and level, in width by level.
    2. A gate may be a sigmoid divided by the number of experts (from the published code of Liu et al.,
       CIKM 2022), not a softmax.
    3. Experts may be normalised by layer before ReLU (docs/adr/0010).
    4. Towers return logits; the sigmoid is at the edge, in loss and calibration.

Letters: B rows, D input width, N experts one gate sees, H expert width, K tasks.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, cast

from pydantic import Field
from torch import Tensor, nn

from core.config_model import ConfigModel, Positive
from core.errors import ConfigError
from models.modules.experts import ExpertOptions, Experts, GateKind, Gates, Mixture, run_experts
from models.modules.graph import Graph
from models.modules.pairs import Rows
from models.modules.trunk import Architecture, Trunk

SHARED = "SHARED"
"""The branch of the shared experts; names of tasks and groups are lower case."""


class LevelConfig(ExpertOptions):
    """One level: experts of each task (one number, or one per task), shared ones, widths of their layers."""

    task_experts: Positive | dict[str, Positive]
    shared_experts: Positive
    expert_widths: Annotated[tuple[Positive, ...], Field(min_length=1)]
    gate: GateKind = "softmax"


class PleConfig(ConfigModel):
    """`model.trunk` of architecture ple; one level makes it CGC."""

    levels: Annotated[tuple[LevelConfig, ...], Field(min_length=1)]


class PleLevel(nn.Module):
    """One level: the gate of each branch mixes the experts it may see (eq. 2-4, 6).

    Args:
        in_dim: D, width of each branch's input, which is also its gate's selector.
        experts: branch (each task, and SHARED) -> number of its experts.
        sees: branch -> branches whose experts its gate mixes; no entry, no gate.
        config: widths and options of the experts, kind of gate.
    """

    def __init__(
        self, in_dim: int, experts: Mapping[str, int], sees: Mapping[str, Sequence[str]], config: LevelConfig
    ) -> None:
        super().__init__()
        self.sees = dict(sees)
        self.experts = nn.ModuleDict(
            {f"{b}_experts": Experts(n, in_dim, config.expert_widths, config) for b, n in experts.items()}
        )
        self.gates = Gates(
            in_dim, {b: sum(experts[s] for s in seen) for b, seen in sees.items()}, config.gate
        )
        self.mixture = Mixture()

    def forward(self, x_BD: Mapping[str, Rows], wanted: Sequence[str]) -> dict[str, Tensor]:
        """Map the inputs of all branches, (B, D) each, to the mixtures of the wanted ones, (B, H) each."""
        needed = dict.fromkeys(seen for branch in wanted for seen in self.sees[branch])
        outputs = run_experts({b: cast(Experts, self.experts[f"{b}_experts"]) for b in needed}, x_BD)
        return cast(dict[str, Tensor], self.mixture(outputs, self.gates(x_BD, wanted), self.sees))

    def draw(self, graph: Graph, inputs: Mapping[str, str]) -> dict[str, str]:
        """Draw the experts and gates, which read the node of their branch; return the gates' nodes."""
        experts = {b: graph.add("experts", f"experts.{b}_experts", [node]) for b, node in inputs.items()}
        return {
            b: graph.add("gate", f"gates.linear.{b}_gate", [experts[s] for s in seen], selectors=[inputs[b]])
            for b, seen in self.sees.items()
        }


class PleTrunk(Trunk):
    """Levels on top of each other: one input, one output per task (eq. 6; one level: eq. 2-4).

    Each level but the last also has a shared gate, over all experts of the level. A branch reads, and
    selects by, its own output one level down; at the first level that is x for all.

    Args:
        in_dim: D.
        tasks: names of the outputs.
        config: the levels.

    Raises:
        ConfigError: numbers of experts are given for other names than the outputs'.
    """

    def __init__(self, in_dim: int, tasks: Sequence[str], config: PleConfig) -> None:
        super().__init__()
        self.branches = (*tasks, SHARED)
        task_gates: dict[str, Sequence[str]] = {task: (task, SHARED) for task in tasks}
        shared_gate: dict[str, Sequence[str]] = {SHARED: self.branches}
        levels, width = [], in_dim
        for j, level in enumerate(config.levels):
            is_last = j == len(config.levels) - 1
            experts = _experts_of_tasks(level, tasks, f"levels.{j}")
            sees = task_gates if is_last else task_gates | shared_gate
            levels.append(PleLevel(width, experts | {SHARED: level.shared_experts}, sees, level))
            width = level.expert_widths[-1]
        self.levels = nn.ModuleList(levels)
        self.out_dims = dict.fromkeys(tasks, width)

    def forward(self, x_BD: Rows, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to the outputs of the wanted tasks (default: all), (B, H) each."""
        wanted = tuple(self.out_dims) if wanted is None else wanted
        branch_BD = dict.fromkeys(self.branches, x_BD)
        for j, level in enumerate(self.levels[:-1], start=2):
            # The shared gate sees every expert, so below it all branches are needed.
            is_below_last = j == len(self.levels)
            branch_BD = level(branch_BD, (*wanted, SHARED) if is_below_last else self.branches)
        return cast(dict[str, Tensor], self.levels[-1](branch_BD, wanted))

    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Draw the levels."""
        branch = dict.fromkeys(self.branches, x)
        for j, level in enumerate(self.levels):
            branch = cast(PleLevel, level).draw(graph.within(f"levels.{j}", f"level {j + 1}"), branch)
        return branch


def _experts_of_tasks(level: LevelConfig, tasks: Sequence[str], key: str) -> dict[str, int]:
    """Return the number of experts of each task; a mapping must name exactly the tasks."""
    if isinstance(level.task_experts, int):
        return dict.fromkeys(tasks, level.task_experts)
    if set(level.task_experts) != set(tasks):
        raise ConfigError(
            f"{key}.task_experts names {sorted(level.task_experts)}, but the outputs are {sorted(tasks)}; "
            "give each of them its number, or one number for all"
        )
    return {task: level.task_experts[task] for task in tasks}


ARCHITECTURE = Architecture(PleConfig, PleTrunk)
