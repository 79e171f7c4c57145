"""Biasnet: what kind of user a row has adds to the logit of every task, and touches nothing else.

Liu, Xia, Lei, Li, Wang: "Multi-Faceted Hierarchical Multi-Task Learning for Recommender Systems", CIKM 2022
(arXiv 2110.13365), appendix A.3, a rival of MFH: the user group is no facet, but feeds a bias tower, whose
logit is added to each task's.

    logit_k = tower_k(trunk_k(x)) + MLP(c)_k      c the columns that are read

Differences from the paper, which does not print all of it: one bias tower with an output per task.

Letters: B rows, D width of the input vector, K tasks.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor

from core.config_model import ConfigModel, Positive
from models.modules.columns import Layout
from models.modules.experts import to_logit
from models.modules.facets import SwitcherConfig, to_switcher
from models.modules.gate_unit import ColumnNames
from models.modules.graph import Graph
from models.modules.pairs import Rows
from models.modules.trunk import Architecture, Trunk


class BiasnetConfig(ConfigModel):
    """`model.trunk` of architecture biasnet: the main trunk, what the bias tower reads, its hidden widths."""

    main: SwitcherConfig
    reads: ColumnNames
    bias_tower: tuple[Positive, ...]


class BiasnetTrunk(Trunk):
    """Any trunk whose outputs are tasks, and a bias tower beside it.

    Args:
        inputs: layout of the input vector.
        tasks: names of the outputs.
        config: the main trunk and the bias tower.

    Raises:
        ConfigError: `reads` names what is no input, or the main trunk is invalid.
    """

    def __init__(self, inputs: Layout, tasks: Sequence[str], config: BiasnetConfig) -> None:
        super().__init__()
        self._columns = inputs.of(config.reads, "reads")
        self.main = to_switcher(inputs.width, tasks, config.main, "main")
        self.bias = to_logit(self._columns.width, config.bias_tower, out_dim=len(tasks))
        self.out_dims = self.main.out_dims

    def forward(self, x_BD: Rows, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to the main trunk's outputs of the wanted tasks (default: all)."""
        found: dict[str, Tensor] = self.main(x_BD, wanted)
        return found

    def link(self, logits: dict[str, Tensor], x_BD: Rows) -> dict[str, Tensor]:
        """Return the logits, (B, 1) each, with the bias of each task added."""
        bias_BK = self.bias(self._columns.of(x_BD))
        places = {task: k for k, task in enumerate(self.out_dims)}
        return {task: z_B1 + bias_BK[:, places[task], None] for task, z_B1 in logits.items()}

    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Draw the bias tower and the main trunk."""
        graph.add("module", "bias", [x], label="bias tower")
        return self.main.draw(graph.within("main"), x)

    def draw_logit(self, graph: Graph, output: str, towers: Mapping[str, str]) -> Sequence[str]:
        """Return an output's tower, and the bias tower."""
        return (towers[output], graph.name_of("bias"))


ARCHITECTURE = Architecture(BiasnetConfig, BiasnetTrunk, reads_columns=True)
