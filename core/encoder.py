"""How raw columns become model inputs: the fitted encoder, shared by Spark and torch.

`features/encoding.py` turns strings into ids with it, `models/modules/input.py` sizes its embeddings and
scales its dense columns with it; neither knows the other. It is one row of the table `encoders` and
one file of a model bundle.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Entity = Literal["user", "item", "context", "pair"]
"""Whose a column is: `pair` is of a user and an item together, as the features of a cross are."""


Arriving = Literal["user", "item"]
"""What arrives without a history: columns made of its events have nothing to be made of yet."""


def _side_of_name(column: str) -> Entity:
    """Return the side that the name of a column suggests, for encoders that are written by hand."""
    if column.startswith("user_"):
        return "user"
    return "item" if column.startswith("item_") else "context"


class CategoricalEncoding(BaseModel):
    """One categorical column: value -> id in [0, size); 0 is missing or unseen.

    `vocabulary` holds the values of ids 1, 2, ... as strings (kind "vocabulary"); a hashed column
    (kind "hash") has none and maps into [1, size). A bag, a string to `split` or an array, has `max_values`
    ids, 0 where it has fewer values. Columns of one `table` share vocabulary and embedding.
    `side` says whose column it is; `fit_encoder` takes it from the configuration. `history_of` is whose
    events it is made of, or whose id it is: without events its own ids are 0.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str
    side: Entity = Field(default_factory=lambda data: _side_of_name(data["column"]))
    kind: Literal["vocabulary", "hash"]
    size: int
    dim: int
    vocabulary: tuple[str, ...] = ()
    split: str | None = None
    max_values: int = 1
    table: str | None = None
    history_of: Arriving | None = None

    @property
    def table_name(self) -> str:
        """The table that holds its rows: the one it shares, else its own."""
        return self.table or self.column

    @property
    def id_columns(self) -> tuple[str, ...]:
        """Names of its encoded columns: one, or one per value of a bag."""
        if self.split is None and self.max_values == 1:
            return (f"cat_{self.column}",)
        return tuple(f"cat_{self.column}__{n}" for n in range(1, self.max_values + 1))


class DenseEncoding(BaseModel):
    """One dense column: raw float32 here, transformed by the model's input layer.

    mean and std are of the transformed, non-null values of the training days; std is 1 for a
    constant column. Null is NaN on the way and becomes the mean. `quantiles`, ascending and each once, are
    where the transform `quantile` has the values `levels`, and is linear between. `side` and `history_of` as
    above; without events its value is `at_arrival`, None for null.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str
    side: Entity = Field(default_factory=lambda data: _side_of_name(data["column"]))
    transform: Literal["identity", "log1p", "quantile"]
    mean: float
    std: float
    quantiles: tuple[float, ...] = ()
    levels: tuple[float, ...] = ()
    history_of: Arriving | None = None
    at_arrival: float | None = None


class Encoder(BaseModel):
    """Every input of a model, in the order of its tensors' columns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    categorical: tuple[CategoricalEncoding, ...]
    dense: tuple[DenseEncoding, ...]

    def side(self, side: Entity) -> "Encoder":
        """Return the inputs of one side of a pair, in the same order."""
        return Encoder(
            categorical=tuple(c for c in self.categorical if c.side == side),
            dense=tuple(d for d in self.dense if d.side == side),
        )

    @property
    def id_columns(self) -> tuple[str, ...]:
        """Names of all encoded categorical columns, the C of every tensor of ids."""
        return tuple(name for c in self.categorical for name in c.id_columns)

    @property
    def columns(self) -> tuple[str, ...]:
        """All input columns, categorical first."""
        return tuple(c.column for c in self.categorical) + tuple(d.column for d in self.dense)
