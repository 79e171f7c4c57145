"""MLoRA: one network for all, and for each cell a residual of low rank in every layer, zero at the start.

After Yang, Gao, Gao, et al.: "MLoRA: Multi-Domain Low-Rank Adaptive Network for CTR Prediction", RecSys 2024;
a domain is a cell (task x cohort) here. For cell c:

    y_c = relu(norm(x W + b + x A_c B_c + b_c))       A_c random, B_c and b_c zero at the start

and so in the tower of its task. For scoring W + A_c B_c is one matrix.

Differences from the paper:
    1. Several tasks: layers are shared by all cells, towers by the cells of a task.
    2. All cells are trained together from the start; in the paper the shared part
       comes first.
    3. Layers may be normalised before ReLU; the norm has no part of the cell.

Letters: B rows, D input width, J and H widths of a layer, R rank.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from core.config_model import Positive
from models.modules.experts import ExpertOptions, Experts, Layer, run_experts
from models.modules.facets import CellsConfig, cells_of, own_facets
from models.modules.graph import Graph
from models.modules.made import MadeExperts, MadeLinear, to_made_towers
from models.modules.pairs import Rows
from models.modules.trunk import CELL, Architecture, Facets, Trunk


class MloraConfig(CellsConfig, ExpertOptions):
    """`model.trunk` of architecture mlora: facets, widths of the layers, R."""

    widths: Annotated[tuple[Positive, ...], Field(min_length=1)]
    rank: Positive


class Residual(nn.Module):
    """A matrix of low rank that starts at zero.

    Args:
        in_dim: J.
        out_dim: H.
        rank: R.
    """

    def __init__(self, in_dim: int, out_dim: int, rank: int) -> None:
        super().__init__()
        self.down_RJ = nn.Parameter(torch.empty(rank, in_dim).uniform_(-(in_dim**-0.5), in_dim**-0.5))
        self.up_HR = nn.Parameter(torch.zeros(out_dim, rank))

    def forward(self) -> Tensor:
        """Return the matrix, (H, J)."""
        return self.up_HR @ self.down_RJ


class LoraExperts(MadeExperts):
    """The layers of one cell.

    Args:
        shared: layers of all cells, of one expert; registered by the trunk.
        rank: R.
    """

    def __init__(self, shared: Experts, rank: int) -> None:
        super().__init__()
        self._shared = (shared,)
        sizes = [shared.first.weight.T.shape, *(weight_1JH.shape[1:] for weight_1JH in shared.weights)]
        self.residuals = nn.ModuleList(Residual(j, h, rank) for j, h in sizes)
        self.biases = nn.ParameterList(torch.zeros(1, h) for _, h in sizes)

    def layers(self) -> Sequence[Layer]:
        """Return the shared layers, with what is the cell's own added."""
        found = []
        for j, layer in enumerate(self._shared[0].layers()):
            own_HJ = self.residuals[j]()
            weight = layer.weight + (own_HJ.T if j else own_HJ)  # later layers are stored as (1, J, H)
            found.append(layer._replace(weight=weight, bias=layer.bias + self.biases[j]))
        return found


class LoraLinear(MadeLinear):
    """A linear map of one cell: the shared one, and a residual."""

    def __init__(self, shared: nn.Linear, rank: int) -> None:
        super().__init__()
        self._shared = (shared,)
        self.residual = Residual(shared.in_features, shared.out_features, rank)
        self.bias = nn.Parameter(torch.zeros(shared.out_features))

    def made(self) -> tuple[Tensor, Tensor]:
        """Return weight, (H, J), and bias, (H,)."""
        (shared,) = self._shared
        return shared.weight + self.residual(), shared.bias + self.bias


class MloraTrunk(Trunk):
    """Shared layers and towers, and residuals of each cell.

    Args:
        in_dim: D.
        facets: all facets of the rows; those of `config.facets` are used, beside the tasks.
        config: facets, widths and rank.

    Raises:
        ConfigError: a facet does not exist.
    """

    def __init__(self, in_dim: int, facets: Facets, config: MloraConfig) -> None:
        super().__init__()
        facets = own_facets(facets, config)
        self.tasks, self.rank = tuple(facets["task"]), config.rank
        self.shared = Experts(1, in_dim, config.widths, config)
        cells = cells_of(facets)
        self.own = nn.ModuleDict({f"{cell}_layers": LoraExperts(self.shared, config.rank) for cell in cells})
        self.task_towers = nn.ModuleDict()
        self.out_dims = dict.fromkeys(cells, config.widths[-1])

    def forward(self, x_BD: Rows, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to the wanted cells (default: all), (B, H) each."""
        cells = tuple(self.out_dims) if wanted is None else wanted
        own = {cell: cast(Experts, self.own[f"{cell}_layers"]) for cell in cells}
        y_B1H = run_experts(own, dict.fromkeys(cells, x_BD)).by_branch()
        return {cell: y_B1H[cell].squeeze(1) for cell in cells}

    def make_towers(self, widths: Mapping[str, Sequence[int]]) -> dict[str, nn.Module]:
        """Make a tower for each task, with residuals for each of its cells.

        Raises:
            ConfigError: `towers` gives some of them other widths.
        """
        make = partial(LoraLinear, rank=self.rank)
        return to_made_towers(self.out_dims, widths, self.task_towers, lambda cell: [_tower_of(cell)], make)

    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Draw the shared layers, those of the cells, and the towers' shared parts."""
        shared = graph.add("experts", "shared", [], flops=0, label="shared layers")
        for task in self.tasks:
            graph.add("module", f"task_towers.{task}_tower", [], flops=0, label=f"{task} shared tower")
        return {cell: graph.add("experts", f"own.{cell}_layers", [x, shared]) for cell in self.out_dims}

    def draw_terms(self, graph: Graph, output: str) -> Sequence[str]:
        """Return the shared tower of the output's task."""
        return (graph.name_of(f"task_towers.{_tower_of(output)}"),)


def _tower_of(cell: str) -> str:
    return f"{cell.partition(CELL)[0]}_tower"


ARCHITECTURE = Architecture(MloraConfig, MloraTrunk, is_by_cell=True)
