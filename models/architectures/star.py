"""STAR: every cohort has the shared network, each of whose parameters it multiplies by its own.

After Sheng, Zhao, Zhou, Ding, et al.: "One Model to Serve All: Star Topology Adaptive Recommender for
Multi-Domain CTR Prediction", CIKM 2021 (arXiv 2101.11427); a domain is a cohort here. For cohort d and
elementwise products:

    layer         y_d = relu(x (W * W_d) + b + b_d)            topology of a star
    norm          (g * g_d) normalised + s + s_d               partitioned normalisation
    logit         star tower(y_d) + MLP(x & d)                 with an auxiliary network

W_d and g_d start at ones, b_d and s_d at zeros, so that every cohort starts as the shared network.

Differences from the paper:
    1. Several tasks: the layers are shared by them; a task's tower is a star of its own, whose factors are
       those of the cell.
    2. Partitioned normalisation is a layer normalisation, of every layer and not of the inputs; batch
       normalisation would need the statistics of each cohort (docs/adr/0010).

Letters: B rows, D input width, J and H widths of a layer, K tasks, G groups (combinations of cohorts).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from core.config_model import Positive
from models.modules.experts import ExpertOptions, Experts, Layer, run_experts
from models.modules.facets import CellsConfig, cells_of, own_facets
from models.modules.graph import Graph
from models.modules.made import MadeExperts, MadeLinear, to_made_towers
from models.modules.pairs import Rows, linear
from models.modules.trunk import CELL, Architecture, Facets, Trunk


class StarConfig(CellsConfig, ExpertOptions):
    """`model.trunk` of architecture star: facets, widths of the layers, hidden width of the auxiliary net."""

    widths: Annotated[tuple[Positive, ...], Field(min_length=1)]
    auxiliary_width: Positive


class StarExperts(MadeExperts):
    """The layers of one cohort.

    Args:
        shared: layers of all cohorts, of one expert; registered by the trunk.
    """

    def __init__(self, shared: Experts) -> None:
        super().__init__()
        self._shared = (shared,)
        layers = shared.layers()
        self.weights = nn.ParameterList(torch.ones_like(layer.weight) for layer in layers)
        self.biases = nn.ParameterList(torch.zeros_like(layer.bias) for layer in layers)
        normed = [layer.scale for layer in layers if layer.scale is not None]
        self.scales = nn.ParameterList(torch.ones_like(scale) for scale in normed)
        self.shifts = nn.ParameterList(torch.zeros_like(scale) for scale in normed)

    def layers(self) -> Sequence[Layer]:
        """Return shared times own weights, and shared plus own biases."""
        return [
            Layer(
                layer.weight * self.weights[j],
                layer.bias + self.biases[j],
                None if layer.scale is None else layer.scale * self.scales[j],
                None if layer.shift is None else layer.shift + self.shifts[j],
            )
            for j, layer in enumerate(self._shared[0].layers())
        ]


class StarLinear(MadeLinear):
    """A linear map of one cell: the shared weight times its own, the shared bias plus its own."""

    def __init__(self, shared: nn.Linear) -> None:
        super().__init__()
        self._shared = (shared,)
        self.weight = nn.Parameter(torch.ones_like(shared.weight))
        self.bias = nn.Parameter(torch.zeros_like(shared.bias))

    def made(self) -> tuple[Tensor, Tensor]:
        """Return weight, (H, J), and bias, (H,)."""
        (shared,) = self._shared
        return shared.weight * self.weight, shared.bias + self.bias


class Auxiliary(nn.Module):
    """A small network on the input vector and the cohort, which is a bias of its own in the hidden layer.

    Args:
        in_dim: D.
        width: H.
        groups: their names.
        tasks: K.
    """

    def __init__(self, in_dim: int, width: int, groups: Sequence[str], tasks: int) -> None:
        super().__init__()
        self.first = nn.Linear(in_dim, width, bias=False)
        most = in_dim**-0.5  # as nn.Linear has it for a cohort that is one of its inputs
        self.own = nn.ParameterDict({f"{g}_bias": torch.empty(width).uniform_(-most, most) for g in groups})
        self.out = nn.Linear(width, tasks)

    def forward(self, x_BD: Rows, groups: Iterable[str]) -> dict[str, Tensor]:
        """Map (B, D) to the logits of each group, (B, K)."""
        common_BH = linear(x_BD, [self.first.weight])
        return {group: self.out((common_BH + self.own[f"{group}_bias"]).relu()) for group in groups}

    def draw(self, graph: Graph, x: str) -> None:
        """Draw what is computed once, and what is for each group."""
        first = graph.add("module", "first", [x], label="auxiliary")
        out = graph.add("module", "out", [], flops=0, label="auxiliary, last layer")
        for name in self.own:
            graph.add("module", f"own.{name}", [first, out], flops=2 * self.out.weight.numel())


class StarTrunk(Trunk):
    """Layers and towers of every cohort around the shared ones.

    Args:
        in_dim: D.
        facets: all facets of the rows; those of `config.facets` are used, beside the tasks.
        config: facets and widths.

    Raises:
        ConfigError: a facet does not exist.
    """

    def __init__(self, in_dim: int, facets: Facets, config: StarConfig) -> None:
        super().__init__()
        facets = own_facets(facets, config)
        self.tasks = tuple(facets["task"])
        self.groups = tuple(cells_of({name: values for name, values in facets.items() if name != "task"}))
        self.shared = Experts(1, in_dim, config.widths, config)
        self.own = nn.ModuleDict({f"{group}_layers": StarExperts(self.shared) for group in self.groups})
        self.auxiliary = Auxiliary(in_dim, config.auxiliary_width, self.groups, len(self.tasks))
        self.task_towers = nn.ModuleDict()
        self.out_dims = dict.fromkeys(cells_of(facets), config.widths[-1])

    def forward(self, x_BD: Rows, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to the wanted cells (default: all), (B, H) each: those of their cohort."""
        cells = tuple(self.out_dims) if wanted is None else wanted
        groups = dict.fromkeys(_group(cell) for cell in cells)
        own = {group: cast(Experts, self.own[f"{group}_layers"]) for group in groups}
        y_B1H = run_experts(own, dict.fromkeys(groups, x_BD)).by_branch()
        return {cell: y_B1H[_group(cell)].squeeze(1) for cell in cells}

    def make_towers(self, widths: Mapping[str, Sequence[int]]) -> dict[str, nn.Module]:
        """Make a star of towers for each task.

        Raises:
            ConfigError: `towers` gives some of them other widths.
        """
        return to_made_towers(self.out_dims, widths, self.task_towers, lambda c: [_tower_of(c)], StarLinear)

    def link(self, logits: dict[str, Tensor], x_BD: Rows) -> dict[str, Tensor]:
        """Return the logits, (B, 1) each, with those of the auxiliary network added."""
        added_BK = self.auxiliary(x_BD, dict.fromkeys(_group(cell) for cell in logits))
        places = {task: k for k, task in enumerate(self.tasks)}
        return {
            cell: z_B1 + added_BK[_group(cell)][:, places[_task(cell)], None] for cell, z_B1 in logits.items()
        }

    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Draw shared and own layers, the towers' shared parts, and the auxiliary network."""
        shared = graph.add("experts", "shared", [], flops=0, label="shared layers")
        own = {group: graph.add("experts", f"own.{group}_layers", [x, shared]) for group in self.groups}
        for task in self.tasks:
            graph.add("module", f"task_towers.{task}_tower", [], flops=0, label=f"{task} shared tower")
        self.auxiliary.draw(graph.within("auxiliary"), x)
        return {cell: own[_group(cell)] for cell in self.out_dims}

    def draw_terms(self, graph: Graph, output: str) -> Sequence[str]:
        """Return the shared tower of the output's task."""
        return (graph.name_of(f"task_towers.{_tower_of(output)}"),)

    def draw_logit(self, graph: Graph, output: str, towers: Mapping[str, str]) -> Sequence[str]:
        """Return an output's tower, and the auxiliary network of its cohort."""
        return (towers[output], graph.name_of(f"auxiliary.own.{_group(output)}_bias"))


def _task(cell: str) -> str:
    return cell.partition(CELL)[0]


def _tower_of(cell: str) -> str:
    return f"{_task(cell)}_tower"


def _group(cell: str) -> str:
    return cell.partition(CELL)[2]


ARCHITECTURE = Architecture(StarConfig, StarTrunk, is_by_cell=True)
