"""PEPNet: gates from a row's domain on its whole input vector, and gates from user and item on every layer.

After Chang, Zhang, Hui, Leng, Niu, Song, Gai: "PEPNet: Parameter and Embedding Personalized Network for
Infusing with Personalized Prior Information", KDD 2023 (arXiv 2302.01115). With U a gate unit, sg a stop of
the gradient, * elementwise, and z1 & z2 a concatenation:

    EPNet    x' = U(domain & sg(x)) * x
    PPNet    d = U(prior & sg(x'))                     one slice of d per layer and task
             h_1 = relu(x' W_1 + b_1),  h_(l+1) = relu((d_l * h_l) W_(l+1) + b_(l+1))
    logit    tower(d_L * h_L)

The domain are columns that say where a row is from, here the cohort or how active a user is; the prior are
ids or attributes of user, item and author. Either part may be left out.

Differences from the paper:
    1. EPNet weighs dense inputs, too.
    2. PPNet weighs the hidden layers, not x' itself. Towers of the model, on top of the last gated layer,
       are not gated: for the paper's form they have no hidden layer.
    3. Layers may be normalised before ReLU.

Letters: B rows, D width of the input vector, H width of a layer.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Self, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from core.config_model import Name
from models.modules.columns import Layout
from models.modules.experts import Experts, run_experts
from models.modules.gate_unit import GatedConfig, GateUnit
from models.modules.graph import Graph
from models.modules.pairs import Rows
from models.modules.trunk import Architecture, Trunk


class PepnetConfig(GatedConfig):
    """`model.trunk` of architecture pepnet: layers of each task, and the columns that gates read.

    domain: of EPNet, none leaves it out. prior: of PPNet, none leaves it out.
    """

    domain: tuple[Name, ...] = Field(default=())
    prior: tuple[Name, ...] = Field(default=())

    @model_validator(mode="after")
    def _has_gates(self) -> Self:
        if not self.domain and not self.prior:
            raise ValueError("domain and prior are empty, so nothing is gated; name columns for one of them")
        return self


class PepnetTrunk(Trunk):
    """Layers of each task, with gates.

    Args:
        inputs: layout of the input vector.
        tasks: names of the outputs.
        config: the layers, and what gates read.

    Raises:
        ConfigError: `domain` or `prior` names what is no input.
    """

    def __init__(self, inputs: Layout, tasks: Sequence[str], config: PepnetConfig) -> None:
        super().__init__()
        d, hidden = inputs.width, config.gate_width
        domain, prior = (inputs.of(getattr(config, key), key) for key in ("domain", "prior"))
        self.inputs = GateUnit(domain, d, hidden, d) if config.domain else None
        self.takes_pairs = self.inputs is None  # the gates are of a pair, and so is x' then
        self.layers = nn.ModuleList(
            nn.ModuleDict({f"{task}_layer": Experts(1, d, [h], config) for task in tasks})
            for d, h in pairwise([d, *config.widths])
        )
        self.gates = (
            nn.ModuleDict({f"{t}_gates": GateUnit(prior, d, hidden, sum(config.widths)) for t in tasks})
            if config.prior
            else None
        )
        self.widths = config.widths
        self.out_dims = dict.fromkeys(tasks, config.widths[-1])

    def forward(self, x_BD: Rows, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to the last gated layers of the wanted tasks (default: all), (B, H) each."""
        tasks = tuple(self.out_dims) if wanted is None else wanted
        if self.inputs is not None:
            x_BD = self.inputs(x_BD) * cast(Tensor, x_BD)
        gates_BH = {task: self._gates(task, x_BD) for task in tasks}
        y_BH: dict[str, Rows] = dict.fromkeys(tasks, x_BD)
        for j, layers in enumerate(self.layers):
            own = {t: cast(Experts, cast(nn.ModuleDict, layers)[f"{t}_layer"]) for t in tasks}
            out_B1H = run_experts(own, y_BH).by_branch()
            y_BH = {t: out_B1H[t].squeeze(1) * gates_BH[t][j] for t in tasks}
        return cast(dict[str, Tensor], y_BH)

    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Draw EPNet, and the layers of each task with the gates of all of them."""
        if self.inputs is not None:
            x = graph.join("gated input", "product", [x, graph.add("module", "inputs", [x], label="EPNet")])
        found = {}
        for task in self.out_dims:
            y = x
            gates = [graph.add("module", f"gates.{task}_gates", [x])] if self.gates else []
            for j in range(len(self.layers)):
                layer = graph.add("experts", f"layers.{j}.{task}_layer", [y])
                y = graph.join(f"{task} layer {j + 1}", "product", [layer, *gates])
            found[task] = y
        return found

    def _gates(self, task: str, x_BD: Rows) -> Sequence[Tensor | float]:
        """Return the gates of each layer of a task, (B, H); ones without PPNet."""
        if self.gates is None:
            return [1.0] * len(self.widths)
        gates_BH: Tensor = self.gates[f"{task}_gates"](x_BD)
        return torch.split(gates_BH, list(self.widths), dim=1)


ARCHITECTURE = Architecture(PepnetConfig, PepnetTrunk, reads_columns=True)
