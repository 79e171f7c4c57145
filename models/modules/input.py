"""From encoded columns to the one vector that every trunk reads.

Letters: B rows, C columns of ids, F dense columns, D width of the input vector, V values of a bag,
E embedding width, Q quantiles.
"""

from collections.abc import Mapping
from typing import cast, get_args

import torch
from torch import Tensor, nn

from core.encoder import CategoricalEncoding, DenseEncoding, Encoder, Entity
from core.errors import ConfigError
from core.model import InputLayer as InputLayerConfig
from models.modules.history import History
from models.modules.id_default import LearntDefault, check_sources, width_of

SIDES: tuple[Entity, ...] = get_args(Entity)
"""The sides of a row, in the order in which their columns stand in the input vector."""


class InputLayer(nn.Module):
    """Embed categorical columns, transform and standardise dense ones, and concatenate them.

    The input vector holds the user's part, then the item's, the context's, and that of the two together;
    inside a part the encoder's order, categorical before dense. So a part can be computed once for many rows
    (models/modules/pairs.py): the `embed`s, concatenated, are bit for bit what `forward` returns.

    Row 0 of a table is for missing and unseen values. Id dropout, in training only, replaces a
    value by it, so that the row is trained for what is unseen later (Volkovs et al., NeurIPS 2017, drop
    whole inputs of a recommender for its cold starts). History dropout hides all columns at once that are
    made of a user's or an item's events (models/modules/history.py). A learnt default adds to row 0 what
    other columns of the side say (models/modules/id_default.py).

    Args:
        encoder: columns, table sizes and widths, means and standard deviations.
        config: dropout and defaults by column, sparse gradients.

    Raises:
        ConfigError: dropout names a column that is no categorical input, or a default columns of which it
            cannot be made.
    """

    def __init__(self, encoder: Encoder, config: InputLayerConfig) -> None:
        super().__init__()
        if unknown := sorted(set(config.id_dropout) - {c.column for c in encoder.categorical}):
            raise ConfigError(f"input.id_dropout names {unknown}, which are no categorical inputs")
        self.tables = nn.ModuleDict(
            {f"{c.table_name}_table": _table(c, config.sparse_rows) for c in encoder.categorical}
        )
        self.id_dropout = dict(config.id_dropout)
        self.histories = nn.ModuleDict(
            {f"{of}_history": History(of, share, encoder) for of, share in config.history_dropout.items()}
        )
        self.sources = {column: each.columns for column, each in config.id_default.items()}
        dims = {c.column: c.dim for c in encoder.categorical}
        for column, each in config.id_default.items():
            check_sources(column, each, list(config.id_default), encoder)
        self.defaults = nn.ModuleDict(
            {
                f"{column}_default": LearntDefault(
                    width_of(each.columns, encoder.categorical), each.widths, dims[column]
                )
                for column, each in config.id_default.items()
            }
        )
        self.bags = {side: [c for c in encoder.categorical if c.side == side] for side in SIDES}
        self.transforms = nn.ModuleDict(
            {side: _Dense([d for d in encoder.dense if d.side == side]) for side in SIDES}
        )
        self.dense_names = {side: [d.column for d in encoder.dense if d.side == side] for side in SIDES}
        owners = [c.side for c in encoder.categorical for _ in c.id_columns]
        self.categorical_columns = {side: _places(owners, side) for side in SIDES}
        self.dense_columns = {side: _places([d.side for d in encoder.dense], side) for side in SIDES}

    @property
    def widths(self) -> dict[Entity, int]:
        """Columns of the input vector that each side fills, in the vector's order."""
        return {side: sum(c.dim for c in self.bags[side]) + len(self.dense_columns[side]) for side in SIDES}

    @property
    def width(self) -> int:
        """D."""
        return sum(self.widths.values())

    def embed(self, side: Entity, ids_BC: Tensor, dense_BF: Tensor) -> Tensor:
        """Map the columns of one side, (B, C of the side) int64 and (B, F of the side), to its part of x.

        Columns stand in the encoder's order (`categorical_columns`, `dense_columns` name their places).
        """
        return torch.cat(self._pieces(side, ids_BC, dense_BF), dim=1)

    def forward(self, ids_BC: Tensor, dense_BF: Tensor) -> Tensor:
        """Map ids (B, C) int64 and raw dense values (B, F), NaN for null, to x (B, D)."""
        for history in self.histories.values():
            ids_BC, dense_BF = history(ids_BC, dense_BF)
        sides = (
            self._pieces(
                side, ids_BC[:, self.categorical_columns[side]], dense_BF[:, self.dense_columns[side]]
            )
            for side in SIDES
        )
        return torch.cat([piece for pieces in sides for piece in pieces], dim=1)

    def _pieces(self, side: Entity, ids_BC: Tensor, dense_BF: Tensor) -> list[Tensor]:
        """Return the pieces of one side: (B, E) per column, and the dense values."""
        columns = self.bags[side]
        ids = ids_BC.split([len(c.id_columns) for c in columns], dim=1) if columns else ()
        shown = {c.column: self._shown(c, ids_BV) for c, ids_BV in zip(columns, ids, strict=True)}
        embedded = {c.column: self._embed_column(c, shown[c.column]) for c in columns}
        dense_BF = self.transforms[side](dense_BF)
        if own := [column for column in self.sources if column in embedded]:
            pieces = dict(zip(self.dense_names[side], dense_BF.split(1, dim=1), strict=True)) | embedded
            embedded |= {column: self._with_default(column, shown[column], pieces) for column in own}
        return [*embedded.values(), dense_BF]

    def _shown(self, column: CategoricalEncoding, ids_BV: Tensor) -> Tensor:
        """Return the ids of a column, (B, V), in training with a share of them hidden: 0."""
        share = self.id_dropout.get(column.column, 0.0)
        if self.training and share > 0:
            ids_BV = ids_BV * (torch.rand(len(ids_BV), 1, device=ids_BV.device) >= share)
        return ids_BV

    def _embed_column(self, column: CategoricalEncoding, ids_BV: Tensor) -> Tensor:
        """Return the embedding of a value, the mean over a bag's values, row 0 for none: (B, E)."""
        table = cast(nn.Embedding, self.tables[f"{column.table_name}_table"])
        if ids_BV.shape[1] == 1:
            return cast(Tensor, table(ids_BV.squeeze(1)))
        is_value_BV1 = (ids_BV != 0).unsqueeze(2)
        count_B1 = is_value_BV1.sum(1)
        mean_BE = (table(ids_BV) * is_value_BV1).sum(1) / count_B1.clamp(min=1)
        return torch.where(count_B1 > 0, mean_BE, table(ids_BV.new_zeros(1)))

    def _with_default(self, column: str, ids_BV: Tensor, pieces: Mapping[str, Tensor]) -> Tensor:
        """Return the embedding of a column, (B, E), where there is no value with its learnt default added.

        Args:
            column: its name.
            ids_BV: as shown to the model.
            pieces: of the side, before any default, (B, width) by column.
        """
        is_none_B1 = (ids_BV == 0).all(1, keepdim=True)
        default_BE = self.defaults[f"{column}_default"](
            torch.cat([pieces[name] for name in self.sources[column]], dim=1)
        )
        return pieces[column] + torch.where(is_none_B1, default_BE, 0.0)


class _Dense(nn.Module):
    """The dense columns of one side: raw values (B, F), NaN for null, to standardised ones, 0 for null."""

    mean: Tensor
    std: Tensor
    is_log: Tensor

    def __init__(self, dense: list[DenseEncoding]) -> None:
        super().__init__()
        self.quantile_columns = {i: f"{d.column}" for i, d in enumerate(dense) if d.transform == "quantile"}
        # Not in the weights: the encoder, which every bundle carries, alone holds them.
        statistics = {
            "mean": torch.tensor([d.mean for d in dense], dtype=torch.float32),
            "std": torch.tensor([d.std for d in dense], dtype=torch.float32),
            "is_log": torch.tensor([d.transform == "log1p" for d in dense], dtype=torch.bool),
        }
        for d in (dense[i] for i in self.quantile_columns):
            statistics[f"{d.column}_quantiles"] = torch.tensor(d.quantiles, dtype=torch.float32)
            statistics[f"{d.column}_levels"] = torch.tensor(d.levels, dtype=torch.float32)
        for name, values in statistics.items():
            self.register_buffer(name, values, persistent=False)

    def forward(self, dense_BF: Tensor) -> Tensor:
        # log1p of a negative value would be NaN, which is kept for null.
        raw_BF = torch.where(self.is_log, dense_BF.clamp(min=0).log1p(), dense_BF)
        if self.quantile_columns:
            columns = list(raw_BF.unbind(1))
            for i, name in self.quantile_columns.items():
                quantiles_Q = cast(Tensor, getattr(self, f"{name}_quantiles"))
                columns[i] = interpolate(
                    columns[i], quantiles_Q, cast(Tensor, getattr(self, f"{name}_levels"))
                )
            raw_BF = torch.stack(columns, dim=1)
        scaled_BF = (raw_BF - self.mean) / self.std
        return scaled_BF.masked_fill(scaled_BF.isnan(), 0.0)


def interpolate(values_B: Tensor, quantiles_Q: Tensor, levels_Q: Tensor) -> Tensor:
    """Map values, (B,), onto the line through (quantile, level), constant beyond its ends; NaN stays NaN.

    Args:
        values_B: raw.
        quantiles_Q: ascending, each once; with fewer than two of them every value is 0.5.
        levels_Q: in [0, 1], ascending.
    """
    if len(quantiles_Q) < 2:
        return torch.where(values_B.isnan(), values_B, 0.5)
    inside_B = values_B.clamp(quantiles_Q[0], quantiles_Q[-1])
    right_B = torch.searchsorted(quantiles_Q, inside_B.nan_to_num(0.0)).clamp(1, len(quantiles_Q) - 1)
    low_B, high_B = quantiles_Q[right_B - 1], quantiles_Q[right_B]
    share_B = (inside_B - low_B) / (high_B - low_B)
    return levels_Q[right_B - 1] + share_B * (levels_Q[right_B] - levels_Q[right_B - 1])


def _places(owners: list[Entity], side: Entity) -> list[int]:
    return [i for i, owner in enumerate(owners) if owner == side]


def _table(column: CategoricalEncoding, sparse_rows: int | None) -> nn.Embedding:
    is_sparse = sparse_rows is not None and column.size >= sparse_rows
    table = nn.Embedding(column.size, column.dim, sparse=is_sparse)
    # Small: a value that training never saw must not add noise.
    nn.init.normal_(table.weight, std=0.01)
    return table
