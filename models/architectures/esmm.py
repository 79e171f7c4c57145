"""ESMM: a task that can only follow another (buy after click) is learnt over the entire space.

Ma, Zhao, Huang, Wang, Hu, Zhu, Gai: "Entire Space Multi-Task Model: An Effective Approach for Estimating
Post-Click Conversion Rate", SIGIR 2018, eq. 1-3. The tower of the later task gives the conditional
probability, p(buy | click); what is trained and served is p(click and buy) = p(click) p(buy | click), on
all impressions. So the later task's label must be 0 where the earlier one's is.

Differences from the paper: a chain may be longer than two; bottoms are configurable. Calibration is by task,
after training, and may part what the product binds: p(click and buy) <= p(click) holds before it.

Letters: B rows, D input width, H bottom width.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from core.config_model import Name
from core.errors import ConfigError
from core.schema import Task
from models.architectures.single_task import SingleTaskConfig, SingleTaskTrunk
from models.modules.trunk import Architecture


class EsmmConfig(SingleTaskConfig):
    """`model.trunk` of architecture esmm: bottoms, and task -> the task that it can only follow."""

    after: dict[Name, Name]


class EsmmTrunk(SingleTaskTrunk):
    """A bottom a task; logits multiplied along the chains, as probabilities.

    Args:
        in_dim: D.
        tasks: names of the outputs.
        config: widths of the bottoms, the chains.

    Raises:
        ConfigError: `after` names what is no task, or goes round in a circle.
    """

    def __init__(self, in_dim: int, tasks: Sequence[str], config: EsmmConfig) -> None:
        super().__init__(in_dim, tasks, config)
        self.chains = chains_of(config.after, tasks)

    def check(self, tasks: Sequence[Task]) -> None:
        """Refuse regressions in a chain, and a later task that is not learnt over the entire space."""
        check_binary(self.chains, tasks)
        narrowed = [t.name for t in tasks if len(self.chains[t.name]) > 1 and t.where is not None]
        if narrowed:
            raise ConfigError(
                f"after: {narrowed} have a `where`, but what follows another task is learnt on all rows; "
                "leave it out, and let the label be 0 where the earlier one's is"
            )

    def link(self, logits: dict[str, Tensor]) -> dict[str, Tensor]:
        """Give the logits of the products of probabilities along the chains of all tasks (eq. 1)."""
        linked = {}
        for task in logits:
            first, *later = self.chains[task]
            z = logits[first]
            for name in later:
                z = logit_of_product(z, logits[name])
            linked[task] = z
        return linked

    def linked(self, output: str) -> Sequence[str]:
        """Name the chain of an output, itself last."""
        return self.chains[output]


def logit_of_product(a: Tensor, b: Tensor) -> Tensor:
    """Give logit(sigmoid(a) sigmoid(b)), of any shape, without leaving logits.

    1 / p - 1 = (1 + exp(-a)) (1 + exp(-b)) - 1 = exp(-a) + exp(-b) + exp(-a - b).
    """
    return -torch.logsumexp(torch.stack([-a, -b, -a - b]), dim=0)


def chains_of(after: dict[str, str], tasks: Sequence[str]) -> dict[str, list[str]]:
    """Give each task's chain: all that it follows, the earliest first, and itself.

    Raises:
        ConfigError: `after` names what is no task, or goes round in a circle.
    """
    if unknown := sorted((set(after) | set(after.values())) - set(tasks)):
        raise ConfigError(f"after names {unknown}, but the outputs are {list(tasks)}")
    return {task: _chain(task, after) for task in tasks}


def check_binary(chains: Mapping[str, Sequence[str]], tasks: Sequence[Task]) -> None:
    """Refuse chains of anything but binary tasks.

    Raises:
        ConfigError: a regression in a chain of several.
    """
    linked = {name for chain in chains.values() if len(chain) > 1 for name in chain}
    if wrong := [t.name for t in tasks if t.name in linked and t.kind != "binary"]:
        raise ConfigError(f"after names {wrong}, which are regressions; probabilities are linked there")


def _chain(task: str, after: dict[str, str]) -> list[str]:
    chain = [task]
    while (earlier := after.get(chain[-1])) is not None:
        if earlier in chain:
            raise ConfigError(f"after goes round in a circle: {' after '.join([*chain, earlier])}")
        chain.append(earlier)
    return chain[::-1]


ARCHITECTURE = Architecture(EsmmConfig, EsmmTrunk)
