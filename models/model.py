"""One frame for all architectures: the input layer, the network, and the cells that a row reads.

Letters: B rows, C categorical and F dense columns, D width of the input vector, K tasks, G groups.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from conf.encoder import Encoder
from conf.errors import ConfigError
from conf.schema import Model, Part
from models.input import InputLayer
from models.layers import Network
from models.mfh import Mfh, MfhConfig
from models.ple import Ple, PleConfig


class Architecture(NamedTuple):
    """How to read `model.trunk`, and what to make of it: (D, tasks, groups, trunk, tower) -> network."""

    config: type[Part]
    network: Callable[[int, Sequence[str], Sequence[str], Any, Sequence[int]], Network]


ARCHITECTURES = {
    "ple": Architecture(PleConfig, Ple),
    "mfh": Architecture(MfhConfig, Mfh),
}


class MultiTaskModel(nn.Module):
    """An architecture with its input layer; gives logits, probabilities belong to the edge.

    A row belongs to one group and reads that group's cells. `cell_groups` is G, or 1 for an
    architecture that does not tell groups apart: groups then do not matter, here and in the loss.
    """

    def __init__(
        self, input_layer: InputLayer, network: Network, tasks: Sequence[str], groups: Sequence[str]
    ) -> None:
        super().__init__()
        self.input = input_layer
        self.network = network
        self.tasks = tuple(tasks)
        self.groups = tuple(groups)

    @property
    def cell_groups(self) -> int:
        """Groups that have cells of their own: G, or 1."""
        return self.network.cell_groups

    def forward(self, categorical_BC: Tensor, dense_BF: Tensor, group_B: Tensor) -> Tensor:
        """Map rows to the logits of their own group's cells, (B, K).

        Args:
            categorical_BC: ids, (B, C) int64, in the encoder's order.
            dense_BF: raw values, (B, F) float32, NaN for null.
            group_B: index into `groups`, (B,) int64.
        """
        cells_BKG = self.all_cells(categorical_BC, dense_BF)
        if self.cell_groups == 1:
            return cells_BKG.squeeze(2)
        own_BK1 = group_B[:, None, None].expand(-1, len(self.tasks), 1)
        return cells_BKG.gather(2, own_BK1).squeeze(2)

    def all_cells(self, categorical_BC: Tensor, dense_BF: Tensor) -> Tensor:
        """Map rows to the logits of all cells, (B, K, cell_groups)."""
        return cast(Tensor, self.network(self.input(categorical_BC, dense_BF)))

    def for_group(self, categorical_BC: Tensor, dense_BF: Tensor, group: int) -> Tensor:
        """Map rows of one group to their logits, (B, K), computing only what this group needs."""
        return self.from_input(self.input(categorical_BC, dense_BF), group)

    def from_input(self, x_BD: Tensor, group: int) -> Tensor:
        """As `for_group`, from input vectors that `input.join` made."""
        return self.network.for_group(x_BD, group)


def build_model(
    model: Model, encoder: Encoder, tasks: Sequence[str], groups: Sequence[str], seed: int
) -> MultiTaskModel:
    """Make a model with fresh weights, the same for the same seed; the global generator is left alone.

    Args:
        model: the model YAML.
        encoder: what its inputs are.
        tasks: K names, the order of the logits.
        groups: G names of user cohorts; `group` indexes them.
        seed: of the initial weights.

    Raises:
        ConfigError: an unknown architecture, or a trunk that it cannot read.
    """
    where = f"conf/models/{model.name}.yaml"
    if model.architecture not in ARCHITECTURES:
        raise ConfigError(
            f"{where}: model.architecture is {model.architecture!r}; known are {sorted(ARCHITECTURES)}"
        )
    architecture = ARCHITECTURES[model.architecture]
    try:
        trunk = architecture.config.model_validate(model.trunk)
    except ValidationError as error:
        faults = "; ".join(
            f"model.trunk.{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
        )
        raise ConfigError(f"{where}: {faults}; mend the key for architecture {model.architecture}") from error
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        input_layer = InputLayer(encoder)
        try:
            network = architecture.network(input_layer.width, tasks, groups, trunk, model.tower)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
    return MultiTaskModel(input_layer, network, tasks, groups)
