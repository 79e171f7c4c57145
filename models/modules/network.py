"""A trunk and its towers: from the input vector to the logits of all cells.

A group is a combination of the cohorts that are facets of the trunk: user cohorts, item cohorts, or both.

Letters: B rows, D input width, K tasks, G groups (1 where the trunk has no such facets).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from core.errors import ConfigError
from models.modules.graph import Graph
from models.modules.pairs import Rows
from models.modules.trunk import CELL, Trunk


class Network(nn.Module):
    """One tower on each output of a trunk (Tang 2020, eq. 5, 7).

    Args:
        trunk: its outputs are the tasks, or the cells of all facets.
        tasks: K names, the order of the logits.
        tower: widths of a tower's hidden layers.
        towers: widths for some: of a cell, of a task, or of a group, in this order of precedence.

    Raises:
        ConfigError: `towers` names what is no cell, task or group, or the trunk cannot have such towers.
    """

    def __init__(
        self,
        trunk: Trunk,
        tasks: Sequence[str],
        tower: Sequence[int],
        towers: Mapping[str, Sequence[int]],
    ) -> None:
        super().__init__()
        cells_KG = [[c for c in trunk.out_dims if c.split(CELL)[0] == task] for task in tasks]
        known = {name for cell in trunk.out_dims for name in (cell, *cell.split(CELL))}
        if unknown := sorted(set(towers) - known):
            raise ConfigError(f"towers names {unknown}; known are {sorted(known)}")
        self.trunk = trunk
        self.cells_KG = cells_KG
        made = trunk.make_towers({cell: _widths(cell, tower, towers) for cell in trunk.out_dims})
        self.towers = nn.ModuleDict({f"{cell}_tower": made[cell] for row in cells_KG for cell in row})

    @property
    def cell_groups(self) -> int:
        """G."""
        return len(self.cells_KG[0])

    def forward(self, x_BD: Rows) -> Tensor:
        """Map (B, D) to the logits of all cells, (B, K, G)."""
        logits = self._logits(x_BD, [cell for row in self.cells_KG for cell in row])
        return logits.view(-1, len(self.cells_KG), self.cell_groups)

    def for_group(self, x_BD: Rows, group: int) -> Tensor:
        """Map (B, D) to the logits of one group's cells, (B, K), without what only others need."""
        column = group if self.cell_groups > 1 else 0
        return self._logits(x_BD, [row[column] for row in self.cells_KG])

    def draw(self) -> Graph:
        """Return the graph of the trunk, the towers on it, and the towers behind each cell's logit."""
        graph = Graph()
        of_trunk = graph.within("trunk")
        outputs = self.trunk.draw(of_trunk, graph.add("input", "x", []))
        reads = {cell: [node, *self.trunk.draw_terms(of_trunk, cell)] for cell, node in outputs.items()}
        towers = {cell: graph.add("tower", f"towers.{cell}_tower", reads[cell]) for cell in outputs}
        for cell in outputs:
            graph.add("output", logit_of(cell), self.trunk.draw_logit(of_trunk, cell, towers), label=cell)
        return graph

    def _logits(self, x_BD: Rows, cells: Sequence[str]) -> Tensor:
        outputs = self.trunk(x_BD, cells)
        of_towers = {cell: self.towers[f"{cell}_tower"](outputs[cell]) for cell in cells}
        logits = self.trunk.link(of_towers, x_BD)
        return torch.cat([logits[cell] for cell in cells], dim=1)


def logit_of(cell: str) -> str:
    """Return the name of a cell's output in the graph; no other node has a blank in its name."""
    return f"{cell} logit"


def _widths(cell: str, tower: Sequence[int], towers: Mapping[str, Sequence[int]]) -> Sequence[int]:
    """Return the most specific widths for a cell."""
    return next((towers[name] for name in (cell, *cell.split(CELL)) if name in towers), tower)
