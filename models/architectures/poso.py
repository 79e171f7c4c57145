"""POSO: a shared bottom whose units are weighted by what kind of user a row has, new or not.

After Dai, Lin, Zhao, Lin, Wu, Wang, Yang, Liu: "POSO: Personalized Cold Start Modules for Large-scale
Recommender Systems" (arXiv 2108.04690), its form for MLPs: with c the columns that say how new a user is,

    y = C g(c) * phi(x W + b)      elementwise; g = sigmoid of an MLP with one hidden layer, C = 2

so that a gate of one half changes nothing. What is usual for most users can neither hide nor overrule c,
which weighs every unit of every layer.

Differences from the paper:
    1. Layers may be normalised before ReLU.
    2. Its forms for multi-head attention and for MMoE, and the sum over whole networks that these are
       derived from, are left out.

Letters: B rows, D width of the input vector, H width of a layer.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from models.modules.columns import Layout
from models.modules.experts import Experts
from models.modules.gate_unit import ColumnNames, GatedConfig, GateUnit
from models.modules.graph import Graph
from models.modules.pairs import Rows
from models.modules.trunk import Architecture, Trunk


class PosoConfig(GatedConfig):
    """`model.trunk` of architecture poso: the bottom, and the columns that its gates read."""

    reads: ColumnNames


class PosoTrunk(Trunk):
    """One bottom, each of its layers with gates.

    Args:
        inputs: layout of the input vector.
        tasks: names of the outputs.
        config: the bottom, and what gates read.

    Raises:
        ConfigError: `reads` names what is no input.
    """

    def __init__(self, inputs: Layout, tasks: Sequence[str], config: PosoConfig) -> None:
        super().__init__()
        columns = inputs.of(config.reads, "reads")
        self.layers = nn.ModuleList(
            Experts(1, d, [h], config) for d, h in pairwise([inputs.width, *config.widths])
        )
        self.gates = nn.ModuleList(GateUnit(columns, 0, config.gate_width, h) for h in config.widths)
        self.out_dims = dict.fromkeys(tasks, config.widths[-1])

    def forward(self, x_BD: Rows, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to the bottom's output, (B, H), the very same for each wanted task (default: all)."""
        y_BH: Rows = x_BD
        for layer, gate in zip(self.layers, self.gates, strict=True):
            y_BH = layer(y_BH).squeeze(1) * gate(x_BD)
        return dict.fromkeys(self.out_dims if wanted is None else wanted, cast(Tensor, y_BH))

    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Draw the layers, each with its gates."""
        y = x
        for j in range(len(self.layers)):
            layer = graph.add("experts", f"layers.{j}", [y], label=f"layer {j + 1}")
            gates = graph.add("module", f"gates.{j}", [x], label=f"gates {j + 1}")
            y = graph.join(f"layer {j + 1} gated", "product", [layer, gates])
        return dict.fromkeys(self.out_dims, y)


ARCHITECTURE = Architecture(PosoConfig, PosoTrunk, reads_columns=True)
