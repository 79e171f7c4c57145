"""The one interface of all trunks, and how an architecture is found by its name.

An architecture is one file: `models/architectures/NAME.py` ends in `ARCHITECTURE`, and
`conf/models/NAME.yaml` names it.
Towers on top are everybody's (models/modules/network.py), so two architectures differ in their trunks only.

Letters: B rows, D input width.
"""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from core.config_model import ConfigModel
from core.errors import ConfigError
from core.schema import Task
from models import architectures
from models.modules.graph import Graph

Facets = Mapping[str, Sequence[str]]
"""Facet -> its values: "task" first, then the cohort columns that an architecture tells apart."""

CELL = "|"
"""Between the values of a cell's name, `click|new`; no name holds it."""


class Trunk(nn.Module, ABC):
    """From the input vector to one vector an output: a task, or a cell of several facets.

    Attributes:
        out_dims: output -> its width, in the order of the outputs.
        cohorts: the facets of its outputs beside the tasks, as `make_trunk` found them; none where outputs
            are tasks.
    """

    out_dims: dict[str, int]
    cohorts: Facets = MappingProxyType({})

    @abstractmethod
    def forward(self, x_BD: Tensor, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to the wanted outputs (default: all), (B, its width) each, in their order."""

    @abstractmethod
    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Draw the modules, which read node `x`; give the node of each output."""

    def link(self, logits: dict[str, Tensor]) -> dict[str, Tensor]:
        """Give the outputs' logits from those of their towers, (B, 1) each; mostly they are the same."""
        return logits

    def linked(self, output: str) -> Sequence[str]:
        """Name the outputs whose towers make the logit of one; mostly its own."""
        return (output,)

    def penalty(self) -> Tensor | None:
        """Give what the trunk and those inside of it add to the loss of an update; mostly nothing."""
        inner = (module for module in self.modules() if isinstance(module, Trunk) and module is not self)
        found = [penalty for trunk in inner if (penalty := trunk.penalty()) is not None]
        return torch.stack(found).sum() if found else None

    def check(self, tasks: Sequence[Task]) -> None:
        """Refuse tasks that it cannot learn; mostly it can learn all.

        Raises:
            ConfigError: with the key inside `trunk` that is at fault.
        """

    def row_penalty(self, logits_BK: Tensor) -> Tensor | None:
        """Give what the trunk itself adds to the loss of each row, (B,); mostly nothing.

        Training takes the mean over the rows of all ranks, by their weights.

        Args:
            logits_BK: of each row's own cells, in the order of the tasks.
        """
        return None


class Architecture(NamedTuple):
    """How to read `model.trunk`, and the trunk it makes.

    A trunk is made by (D, names of its outputs, config); one whose outputs are cells (`is_by_cell`) by
    (D, all facets there are, config), and tells by `config.facets` which cohorts it wants.
    """

    config: type[ConfigModel]
    trunk: Callable[[int, Any, Any], Trunk]
    is_by_cell: bool = False


def find_architecture(name: str, key: str = "architecture") -> Architecture:
    """Look an architecture up; `key` is where its name stands.

    Raises:
        ConfigError: there is none of this name.
    """
    known = {module.name for module in pkgutil.iter_modules(architectures.__path__)}
    module = importlib.import_module(f"models.architectures.{name}") if name in known else None
    found = getattr(module, "ARCHITECTURE", None)
    if found is None:
        raise ConfigError(f"{key} {name!r} is unknown; known are {_known_architectures(known)}")
    return cast(Architecture, found)


def make_trunk(name: str, in_dim: int, facets: Facets, trunk: Mapping[str, Any]) -> Trunk:
    """Make the trunk of an architecture from its part of the model YAML.

    Args:
        name: of the architecture.
        in_dim: D.
        facets: task first. A trunk whose outputs are tasks sees these only.
        trunk: `model.trunk`, or a switcher's.

    Raises:
        ConfigError: no such architecture, or a key at fault; messages begin with the key inside `trunk`.
    """
    architecture = find_architecture(name)
    try:
        config = architecture.config.model_validate(trunk)
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise ConfigError(f"trunk: {'; '.join(faults)}") from error
    try:
        made = architecture.trunk(in_dim, facets if architecture.is_by_cell else facets["task"], config)
    except ConfigError as error:
        raise ConfigError(f"trunk: {error}") from error
    if architecture.is_by_cell:
        made.cohorts = {name: facets[name] for name in cast(Any, config).facets}
    return made


def _known_architectures(modules: set[str]) -> list[str]:
    return sorted(
        name
        for name in modules
        if hasattr(importlib.import_module(f"models.architectures.{name}"), "ARCHITECTURE")
    )
