"""ESMM: a task that can only follow another (buy after click) is learnt over the entire space.

Ma, Zhao, Huang, Wang, Hu, Zhu, Gai: "Entire Space Multi-Task Model: An Effective Approach for Estimating
Post-Click Conversion Rate", SIGIR 2018, eq. 1-3. The tower of the later task gives the conditional
probability, p(buy | click); what is trained and served is p(click and buy) = p(click) p(buy | click), on
all impressions. So the later task's label must be 0 where the earlier one's is.

Differences from the paper: a chain may be longer than two; bottoms are configurable. Calibration is per task,
after training, and may break what the product ensures: p(click and buy) <= p(click) holds before it.

Letters: B rows, D input width, H bottom width.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from core.config_model import Name
from core.errors import ConfigError
from core.schema import Task
from models.modules.bottoms import BottomsConfig, TaskBottoms
from models.modules.chains import chains_of, check_binary
from models.modules.graph import Graph
from models.modules.pairs import Rows
from models.modules.trunk import Architecture


class EsmmConfig(BottomsConfig):
    """`model.trunk` of architecture esmm: bottoms, and task -> the task that it can only follow."""

    after: dict[Name, Name]


class EsmmTrunk(TaskBottoms):
    """One bottom per task; probabilities are multiplied along the chains.

    Args:
        in_dim: D.
        tasks: names of the outputs.
        config: widths of the bottoms, the chains.

    Raises:
        ConfigError: `after` names what is no task, or is a cycle.
    """

    def __init__(self, in_dim: int, tasks: Sequence[str], config: EsmmConfig) -> None:
        super().__init__(in_dim, tasks, config)
        self.chains = chains_of(config.after, tasks)

    def check(self, tasks: Sequence[Task]) -> None:
        """Refuse regressions in a chain, and later tasks that are not learnt over the entire space."""
        check_binary(self.chains, tasks)
        narrowed = [t.name for t in tasks if len(self.chains[t.name]) > 1 and t.where is not None]
        if narrowed:
            raise ConfigError(
                f"after: {narrowed} have a `where`, but what follows another task is learnt on all rows; "
                "leave it out, and let the label be 0 where the earlier one's is"
            )

    def link(self, logits: dict[str, Tensor], x_BD: Rows) -> dict[str, Tensor]:
        """Return the logits of the products of probabilities along the chains of all tasks (eq. 1)."""
        linked = {}
        for task in logits:
            first, *later = self.chains[task]
            z = logits[first]
            for name in later:
                z = logit_of_product(z, logits[name])
            linked[task] = z
        return linked

    def draw_logit(self, graph: Graph, output: str, towers: Mapping[str, str]) -> Sequence[str]:
        """Return the towers of an output's chain, its own last."""
        return [towers[task] for task in self.chains[output]]


def logit_of_product(a: Tensor, b: Tensor) -> Tensor:
    """Return logit(sigmoid(a) sigmoid(b)), of any shape, without leaving logits.

    1 / p - 1 = (1 + exp(-a)) (1 + exp(-b)) - 1 = exp(-a) + exp(-b) + exp(-a - b).
    """
    return -torch.logsumexp(torch.stack([-a, -b, -a - b]), dim=0)


ARCHITECTURE = Architecture(EsmmConfig, EsmmTrunk)
