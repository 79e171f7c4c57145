"""MFH: tasks are the cells of behaviour x user group, reached by one tree a facet.

Liu, Xia, Lei, Li, Wang: "Multi-Faceted Hierarchical Multi-Task Learning for Recommender Systems",
CIKM 2022 (arXiv 2110.13365).

A switcher has one input and several outputs. Each facet's tree is a switcher from x to the values of
the facet and, for each value, a switcher to the values of the other facet: 2 + A + G switchers for A
behaviours and G groups. A cell is reached once in each tree; it adds what it finds there.

Differences from the paper:
    1. Two facets, behaviour and user group; a switcher is a PLE (or CGC) trunk.
    2. Both trees use the same switcher sizes, so that their vectors can be added.

Letters: B rows, D input width, H output width of level 2, K tasks (= A), G groups.
"""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from conf.errors import ConfigError
from conf.schema import Name, Part, Positive
from models.layers import Network, to_logit
from models.ple import PleConfig, PleTrunk


class SwitcherConfig(PleConfig):
    """A switcher; `kind` says which trunk serves as one."""

    kind: Literal["ple"]


class MfhConfig(Part):
    """`model.trunk` of architecture mfh; `group_towers` gives groups towers of their own widths."""

    groups: Literal["user_cohort"]  # the column that holds a row's group
    level1: SwitcherConfig
    level2: SwitcherConfig
    group_towers: dict[Name, tuple[Positive, ...]] = Field(default_factory=dict)


SWITCHERS: dict[str, Callable[..., PleTrunk]] = {"ple": PleTrunk}


class FacetTree(nn.Module):
    """The tree of one facet: x -> value of the facet -> (value, value of the other facet).

    Args:
        in_dim: D.
        values: of this facet.
        others: values of the other facet.
        config: sizes of both levels.
    """

    def __init__(self, in_dim: int, values: Sequence[str], others: Sequence[str], config: MfhConfig) -> None:
        super().__init__()
        self.level1 = SWITCHERS[config.level1.kind](in_dim, values, config.level1, "model.trunk.level1")
        self.out_dim = config.level2.levels[-1].expert_widths[-1]
        self.level2 = nn.ModuleDict(
            {
                f"{value}_switcher": SWITCHERS[config.level2.kind](
                    self.level1.out_dim, others, config.level2, "model.trunk.level2"
                )
                for value in values
            }
        )

    def forward(
        self, x_BD: Tensor, values: Sequence[str], others: Sequence[str]
    ) -> dict[tuple[str, str], Tensor]:
        """Map (B, D) to the cells of the given values, (value, other) -> (B, H); nothing else is computed."""
        first: dict[str, Tensor] = self.level1(x_BD, values)
        return {
            (value, other): y_BH
            for value in values
            for other, y_BH in self.level2[f"{value}_switcher"](first[value], others).items()
        }


class Mfh(Network):
    """Both trees, and a tower a cell."""

    def __init__(
        self,
        in_dim: int,
        tasks: Sequence[str],
        groups: Sequence[str],
        config: MfhConfig,
        tower: Sequence[int],
    ) -> None:
        super().__init__()
        unknown = sorted(set(config.group_towers) - set(groups))
        if unknown:
            raise ConfigError(f"model.trunk.group_towers names {unknown}; user cohorts are {list(groups)}")
        self.tasks, self.groups, self.cell_groups = tuple(tasks), tuple(groups), len(groups)
        self.by_task = FacetTree(in_dim, tasks, groups, config)
        self.by_group = FacetTree(in_dim, groups, tasks, config)
        self.towers = nn.ModuleDict(
            {
                f"{task}|{group}_tower": to_logit(self.by_task.out_dim, widths)
                for group in groups
                for widths in [config.group_towers.get(group, tower)]
                for task in tasks
            }
        )

    def forward(self, x_BD: Tensor) -> Tensor:
        """Map (B, D) to the logits of all cells, (B, K, G)."""
        return self._cells(x_BD, self.groups)

    def for_group(self, x_BD: Tensor, group: int) -> Tensor:
        """Map (B, D) to the logits of one group's cells, (B, K).

        Left out: towers and group-tree switchers of other groups, and in each behaviour's switcher the
        other groups' outputs at the last level.
        """
        return self._cells(x_BD, [self.groups[group]]).squeeze(2)

    def _cells(self, x_BD: Tensor, groups: Sequence[str]) -> Tensor:
        by_task = self.by_task(x_BD, self.tasks, groups)
        by_group = self.by_group(x_BD, groups, self.tasks)
        logits = [
            self.towers[f"{task}|{group}_tower"](by_task[task, group] + by_group[group, task])
            for task, group in product(self.tasks, groups)
        ]
        return torch.cat(logits, dim=1).view(-1, len(self.tasks), len(groups))
