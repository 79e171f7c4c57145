"""The one interface of all trunks, and how an architecture is found by its name.

An architecture is one file: `models/architectures/NAME.py` ends in `ARCHITECTURE`, and
`conf/models/NAME.yaml` names it. No other module imports one: `find_architecture` alone does, by name, so a
model's fingerprint covers the architectures that it uses (models/modules/used.py) and no others.
Towers on top are the same for all (models/modules/network.py), so two architectures differ in their trunks.

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
from models.modules.columns import Layout
from models.modules.experts import to_logit
from models.modules.graph import Graph
from models.modules.pairs import Rows

Facets = Mapping[str, Sequence[str]]
"""Facet -> its values: "task" first, then the cohort columns that are facets."""

CELL = "|"
"""Between the values of a cell's name, `click|new`; no name holds it."""


class Trunk(nn.Module, ABC):
    """From the input vector to one vector per output: a task, or a cell of several facets.

    Attributes:
        out_dims: output -> its width, in the order of the outputs.
        cohorts: the facets of its outputs beside the tasks, set by `make_trunk`; empty where outputs are
            tasks.
        takes_pairs: it reads x through linear maps alone (`Experts`, `Gates`, `linear`), so that x may be
            `PairRows`. A trunk that needs the vectors themselves declares False; scoring then makes them.
    """

    takes_pairs: bool = True
    out_dims: dict[str, int]
    cohorts: Facets = MappingProxyType({})

    @abstractmethod
    def forward(self, x_BD: Rows, wanted: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Map (B, D) to the wanted outputs (default: all), (B, its width) each, in their order."""

    @abstractmethod
    def draw(self, graph: Graph, x: str) -> dict[str, str]:
        """Add the modules, which read node `x`, to a graph; return the node of each output."""

    def make_towers(self, widths: Mapping[str, Sequence[int]]) -> dict[str, nn.Module]:
        """Make the tower of each output, (B, its width) to a logit, (B, 1); default: MLPs of their own.

        Args:
            widths: output -> widths of its tower's hidden layers.

        Raises:
            ConfigError: the trunk cannot have towers of these widths; the message begins with a key.
        """
        return {output: to_logit(self.out_dims[output], widths[output]) for output in self.out_dims}

    def link(self, logits: dict[str, Tensor], x_BD: Rows) -> dict[str, Tensor]:
        """Return the outputs' logits from those of their towers, (B, 1) each; default: the same."""
        return logits

    def draw_logit(self, graph: Graph, output: str, towers: Mapping[str, str]) -> Sequence[str]:
        """Return the nodes that `link` makes an output's logit of; default: its tower.

        Args:
            graph: that `draw` has drawn to.
            output: whose.
            towers: output -> node of its tower.
        """
        return (towers[output],)

    def draw_terms(self, graph: Graph, output: str) -> Sequence[str]:
        """Return the nodes of the parameters that an output's tower shares with others; default: none."""
        return ()

    def penalty(self) -> Tensor | None:
        """Return what the trunk and those inside of it add to the loss of an update; default: None."""
        inner = (module for module in self.modules() if isinstance(module, Trunk) and module is not self)
        found = [penalty for trunk in inner if (penalty := trunk.penalty()) is not None]
        return torch.stack(found).sum() if found else None

    def before_step(self, row_weights_KG: Tensor) -> None:
        """Keep what a step of training is made from: gradients of all ranks, weights not yet changed.

        Args:
            row_weights_KG: what the loss of a row of each cell counts in that of the step, 0 where the step
                has no such row.
        """

    def after_epoch(self) -> None:
        """Learn from what the epoch's steps were made from."""

    def check(self, tasks: Sequence[Task]) -> None:
        """Check that the trunk can learn the tasks; default: it can learn any.

        Raises:
            ConfigError: it cannot; the message begins with a key inside `trunk`.
        """

    def row_penalty(self, logits_BK: Tensor) -> Tensor | None:
        """Return what the trunk itself adds to the loss of each row, (B,); default: None.

        Training takes the mean over the rows of all ranks, weighted as their losses are.

        Args:
            logits_BK: of each row's own cells, in the order of the tasks.
        """
        return None


class Architecture(NamedTuple):
    """The configuration class of `model.trunk`, and the class of the trunk.

    A trunk is built from (D, names of its outputs, config); one whose outputs are cells (`is_by_cell`) from
    (D, all facets of the rows, config), and `config.facets` names the cohorts that it uses. One that reads
    single columns (`reads_columns`) gets the layout of the input vector in place of D.
    """

    config: type[ConfigModel]
    trunk: Callable[[Any, Any, Any], Trunk]
    is_by_cell: bool = False
    reads_columns: bool = False


def find_architecture(name: str, key: str = "architecture") -> Architecture:
    """Import an architecture by its name; `key` is the configuration key that holds the name.

    Raises:
        ConfigError: no architecture has this name.
    """
    known = sorted(module.name for module in pkgutil.iter_modules(architectures.__path__))
    if name not in known:
        raise ConfigError(f"{key} {name!r} is unknown; known are {known}")
    return cast(Architecture, importlib.import_module(f"models.architectures.{name}").ARCHITECTURE)


def read_trunk(architecture: Architecture, trunk: Mapping[str, Any]) -> ConfigModel:
    """Validate an architecture's part of the model YAML.

    Raises:
        ConfigError: a key is unknown, missing or invalid; messages begin with `trunk`.
    """
    try:
        return architecture.config.model_validate(trunk)
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise ConfigError(f"trunk: {'; '.join(faults)}") from error


def make_trunk(name: str, inputs: Layout, facets: Facets, trunk: Mapping[str, Any]) -> Trunk:
    """Build the trunk of an architecture from its part of the model YAML.

    Args:
        name: of the architecture.
        inputs: which columns the input vector is made of.
        facets: task first. A trunk whose outputs are tasks gets these only.
        trunk: `model.trunk`, or a switcher's.

    Raises:
        ConfigError: the architecture is unknown, or its trunk is invalid; messages begin with the key.
    """
    architecture = find_architecture(name)
    config = read_trunk(architecture, trunk)
    try:
        made = architecture.trunk(
            inputs if architecture.reads_columns else inputs.width,
            facets if architecture.is_by_cell else facets["task"],
            config,
        )
    except ConfigError as error:
        raise ConfigError(f"trunk: {error}") from error
    if architecture.is_by_cell:
        made.cohorts = {name: facets[name] for name in cast(Any, config).facets}
    return made
