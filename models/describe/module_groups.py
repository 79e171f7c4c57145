"""The parameters of a model in 3 to 40 groups: by the part of the graph, its kind, and whom it serves."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from models.model import MultiTaskModel
from models.modules.graph import Node
from models.modules.network import Network, logit_of
from models.modules.trunk import CELL


@dataclass(frozen=True)
class ModuleGroup:
    """Parameters of one kind at one place that serve the same user cohorts.

    Attributes:
        name: path of their module in the network, with `*` for the name of a task, cohort or cell; inside of
            a level or a switcher the path of this, and the kind.
        cohorts: user cohorts whose logits depend on them.
        parameters: their names, as of `named_parameters` of the model.
    """

    name: str
    cohorts: tuple[str, ...]
    parameters: tuple[str, ...]


def module_groups(model: MultiTaskModel, user_cohorts: Sequence[str]) -> list[ModuleGroup]:
    """Return the groups in the order of the forward pass; every parameter is in one of them.

    Embedding tables are one group, learnt defaults of ids another; both serve all cohorts.

    Args:
        model: any; its parameters may be on the meta device.
        user_cohorts: names of all, in the order of their places.

    Raises:
        ValueError: a parameter of the network is in no node that its trunk draws.
    """
    everyone = tuple(user_cohorts)
    group_of = _group_of_nodes(model.network, everyone)
    members: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for name, _ in model.input.named_parameters():
        members[f"input.{name.partition('.')[0]}", everyone].append(f"input.{name}")
    order = {group: place for place, group in enumerate([*members, *dict.fromkeys(group_of.values())])}
    for name, _ in model.network.named_parameters():
        node = next((node for node in group_of if f"{name}.".startswith(f"{node}.")), None)
        if node is None:
            raise ValueError(f"parameter {name} is in no node of the graph; add it in the trunk's `draw`")
        members[group_of[node]].append(f"network.{name}")
    return [ModuleGroup(*group, tuple(members[group])) for group in sorted(members, key=order.__getitem__)]


def _group_of_nodes(
    network: Network, user_cohorts: tuple[str, ...]
) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return node -> name and cohorts of its group."""
    graph = network.draw()
    values = {*network.trunk.out_dims, *chain(*(cell.split(CELL) for cell in network.trunk.out_dims))}
    needed: dict[str, set[str]] = {cohort: set() for cohort in user_cohorts}
    for column, logits in enumerate(zip(*network.cells_KG, strict=True)):
        nodes = graph.needed_for(map(logit_of, logits))
        for cohort in _cohorts_of(column, network.trunk.cohorts, user_cohorts):
            needed[cohort] |= nodes
    return {
        node.name: (
            _name(node, values),
            tuple(cohort for cohort in user_cohorts if node.name in needed[cohort]),
        )
        for node in graph.nodes.values()
    }


def _cohorts_of(
    column: int, facets: Mapping[str, Sequence[str]], user_cohorts: Sequence[str]
) -> Sequence[str]:
    """Return the user cohorts whose rows read a column of the cells (`MultiTaskModel.group_of`)."""
    if "user_cohort" not in facets:
        return user_cohorts
    places = np.unravel_index(column, [len(names) for names in facets.values()])
    return (user_cohorts[int(places[list(facets).index("user_cohort")])],)


def _name(node: Node, values: set[str]) -> str:
    path = node.frames[-1].path.removesuffix(".") if node.frames else node.name
    parts = []
    for part in path.split("."):
        value, _, what = part.rpartition("_")
        parts.append("*" if part in values else f"*_{what}" if value in values else part)
    return ".".join(parts) + (f" {node.kind}" if node.frames else "")
