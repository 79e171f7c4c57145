"""From encoded columns to the one vector that every trunk reads.

Letters: B rows, C categorical columns, F dense columns, D width of the input vector.
"""

from collections.abc import Mapping
from typing import cast, get_args

import torch
from torch import Tensor, nn

from conf.encoder import CategoricalEncoding, DenseEncoding, Encoder, Entity, entity_of

SIDES: tuple[Entity, ...] = get_args(Entity)
"""The sides of a row, in the order in which their columns stand in the input vector."""


class InputLayer(nn.Module):
    """Embed categorical columns, transform and standardise dense ones, and put them side by side.

    The input vector holds the user's part, then the item's, then the context's; inside a part the
    encoder's order, categorical before dense. So a part can be computed once for many rows: `join`
    of the three `embed`s is bit for bit what `forward` makes of whole rows.

    Args:
        encoder: columns, table sizes and widths, means and standard deviations.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.sides = nn.ModuleDict({side: _Side(encoder, side) for side in SIDES})
        self.categorical_columns = {
            side: [i for i, c in enumerate(encoder.categorical) if entity_of(c.column) == side]
            for side in SIDES
        }
        self.dense_columns = {
            side: [i for i, d in enumerate(encoder.dense) if entity_of(d.column) == side] for side in SIDES
        }

    @property
    def widths(self) -> dict[Entity, int]:
        """Columns of the input vector that each side fills, in the vector's order."""
        return {side: cast(_Side, self.sides[side]).width for side in SIDES}

    @property
    def width(self) -> int:
        """D."""
        return sum(self.widths.values())

    def embed(self, side: Entity, categorical: Tensor, dense: Tensor) -> Tensor:
        """Map the columns of one side, (B, C of the side) int64 and (B, F of the side), to its part of x.

        Columns stand in the encoder's order (`categorical_columns`, `dense_columns` name their places).
        """
        return cast(Tensor, self.sides[side](categorical, dense))

    def join(self, parts: Mapping[Entity, Tensor]) -> Tensor:
        """Put the three parts together, each (B, its width) or (1, its width) for all rows: (B, D)."""
        rows = max(part.shape[0] for part in parts.values())
        return torch.cat([parts[side].expand(rows, -1) for side in SIDES], dim=1)

    def forward(self, categorical_BC: Tensor, dense_BF: Tensor) -> Tensor:
        """Map ids (B, C) int64 and raw dense values (B, F), NaN for null, to x (B, D)."""
        return self.join(
            {
                side: self.embed(
                    side,
                    categorical_BC[:, self.categorical_columns[side]],
                    dense_BF[:, self.dense_columns[side]],
                )
                for side in SIDES
            }
        )


class _Side(nn.Module):
    """The columns of one side: an embedding each for the categorical, a scale each for the dense."""

    mean: Tensor
    std: Tensor
    is_log: Tensor

    def __init__(self, encoder: Encoder, side: Entity) -> None:
        super().__init__()
        categorical = [c for c in encoder.categorical if entity_of(c.column) == side]
        dense = [d for d in encoder.dense if entity_of(d.column) == side]
        self.tables = nn.ModuleDict({f"{c.column}_table": _table(c) for c in categorical})
        self.width = sum(c.dim for c in categorical) + len(dense)
        # Not in the weights: the encoder, which every bundle carries, is their only home.
        for name, values in _statistics(dense).items():
            self.register_buffer(name, values, persistent=False)

    def forward(self, categorical: Tensor, dense: Tensor) -> Tensor:
        embedded = [
            table(ids) for table, ids in zip(self.tables.values(), categorical.unbind(1), strict=True)
        ]
        # log1p of a negative value would be NaN, which is kept for null.
        raw = torch.where(self.is_log, dense.clamp(min=0).log1p(), dense)
        scaled = (raw - self.mean) / self.std
        return torch.cat([*embedded, scaled.masked_fill(scaled.isnan(), 0.0)], dim=1)


def _table(column: CategoricalEncoding) -> nn.Embedding:
    table = nn.Embedding(column.size, column.dim)
    # Small: a value that training never saw must not add noise to who has nothing but it.
    nn.init.normal_(table.weight, std=0.01)
    return table


def _statistics(dense: list[DenseEncoding]) -> dict[str, Tensor]:
    return {
        "mean": torch.tensor([d.mean for d in dense], dtype=torch.float32),
        "std": torch.tensor([d.std for d in dense], dtype=torch.float32),
        "is_log": torch.tensor([d.transform == "log1p" for d in dense], dtype=torch.bool),
    }
