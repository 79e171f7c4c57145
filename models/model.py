"""One frame for all architectures: the input layer, the network, and the cells that a row reads.

Letters: B rows, C categorical and F dense columns, D width of the input vector, K tasks, G groups.
A group is a combination of the cohorts that are facets of the architecture (models/modules/network.py).
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.encoder import Encoder
from core.errors import ConfigError
from core.model import Model
from models.modules.columns import layout_of
from models.modules.input import InputLayer
from models.modules.network import Network
from models.modules.pairs import PairRows, Rows
from models.modules.trunk import Trunk, make_trunk


class MultiTaskModel(nn.Module):
    """An architecture with its input layer. Outputs are logits; probabilities are made by calibration.

    A row belongs to one group and reads that group's cells. An architecture without cells of
    cohorts has one group: `group` then does not matter, here and in the loss.
    """

    def __init__(self, input_layer: InputLayer, network: Network) -> None:
        super().__init__()
        self.input = input_layer
        self.network = network

    @property
    def cell_groups(self) -> int:
        """G."""
        return self.network.cell_groups

    def group_of(self, user_group: NDArray[Any], item_group: NDArray[Any]) -> NDArray[np.int64]:
        """Return the group of each row, (B,), from the places of its user's and of its item's cohort.

        Groups are counted in the order of the trunk's facets, the last of which varies fastest.

        Args:
            user_group: place among the values of user_cohort, (B,).
            item_group: place among the values of item_cohort, (B,).

        Raises:
            ValueError: a place is beyond the number of values.
        """
        places = {"user_cohort": user_group, "item_cohort": item_group}
        cohorts = self.network.trunk.cohorts
        if not cohorts:
            return np.zeros(len(user_group), np.int64)
        sizes = [len(names) for names in cohorts.values()]
        group: NDArray[np.int64] = np.ravel_multi_index([places[column] for column in cohorts], sizes)
        return group

    def forward(self, categorical_BC: Tensor, dense_BF: Tensor, group_B: Tensor) -> Tensor:
        """Map rows to the logits of their own group's cells, (B, K).

        Args:
            categorical_BC: ids, (B, C) int64, in the encoder's order.
            dense_BF: raw values, (B, F) float32, NaN for null.
            group_B: as of `group_of`, (B,) int64.
        """
        cells_BKG = self.all_cells(categorical_BC, dense_BF)
        if self.cell_groups == 1:
            return cells_BKG.squeeze(2)
        own_BK1 = group_B[:, None, None].expand(-1, cells_BKG.shape[1], 1)
        return cells_BKG.gather(2, own_BK1).squeeze(2)

    def all_cells(self, categorical_BC: Tensor, dense_BF: Tensor) -> Tensor:
        """Map rows to the logits of all cells, (B, K, G); arguments as of `forward`."""
        return cast(Tensor, self.network(self.input(categorical_BC, dense_BF)))

    def for_group(self, categorical_BC: Tensor, dense_BF: Tensor, group: int) -> Tensor:
        """Map rows of one group to their logits, (B, K), computing only what this group needs.

        Arguments as of `forward`; `group` is that of all rows.
        """
        return self.from_input(self.input(categorical_BC, dense_BF), group)

    def from_input(self, x_BD: Rows, group: int) -> Tensor:
        """Map what `input` returns, or pairs of its parts, (B, D), as `for_group` does."""
        if isinstance(x_BD, PairRows) and not self.takes_pairs:
            x_BD = x_BD.joined()
        return self.network.for_group(x_BD, group)

    @cached_property
    def takes_pairs(self) -> bool:
        """Whether all trunks do, also those inside of another."""
        return all(module.takes_pairs for module in self.modules() if isinstance(module, Trunk))


def build_model(
    model: Model, encoder: Encoder, tasks: Sequence[str], cohorts: Mapping[str, Sequence[str]], seed: int
) -> MultiTaskModel:
    """Build a model with initial weights that depend on the seed alone; the global generator is not used.

    Args:
        model: the model YAML.
        encoder: of its inputs.
        tasks: K names, the order of the logits.
        cohorts: cohort column of the rows -> its values, in the order of their places.
        seed: of the initial weights.

    Raises:
        ConfigError: the architecture is unknown, or `trunk`, `input` or `towers` is invalid for these inputs,
            tasks and cohorts; the message begins with the file.
    """
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            input_layer = InputLayer(encoder, model.input)
            facets = {"task": tasks, **cohorts}
            trunk = make_trunk(model.architecture, layout_of(encoder), facets, model.trunk)
            network = Network(trunk, tasks, model.tower, model.towers)
    except ConfigError as error:
        raise ConfigError(f"conf/models/{model.name}.yaml: model.{error}") from error
    return MultiTaskModel(input_layer, network)
