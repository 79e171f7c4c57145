"""The typed schema of what a model sees of users, items and context."""

from itertools import combinations
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from core.config_model import ConfigModel, Name, Positive


class CategoricalInput(ConfigModel):
    """A categorical model input: a vocabulary fitted on training days, or a hash of the value.

    A bag is a string of several values between separators, where `split` names the separator, or an array:
    up to `max_values` of them are embedded and averaged. Columns that name one `table` share vocabulary and
    embedding, which then has the sizes that all of them declare.
    """

    column: Name
    hash_size: Annotated[int, Field(ge=2)] | None = None  # id 0 is for missing values; none: a vocabulary
    dim: Positive
    split: Annotated[str, Field(min_length=1)] | None = None
    max_values: Positive = 1
    table: Name | None = None

    @property
    def table_name(self) -> str:
        """The table that holds its rows: the one it shares, else its own."""
        return self.table or self.column


class DenseInput(ConfigModel):
    """A dense model input and the transform that comes before standardisation.

    `quantile` is the share of training rows with a smaller value, between 0 and 1.
    """

    column: Name
    transform: Literal["identity", "log1p", "quantile"] = "identity"


class Inputs(ConfigModel):
    """What a model sees: declared columns of the user, the item, the context, and of a cross."""

    categorical: tuple[CategoricalInput, ...]
    dense: tuple[DenseInput, ...]
    vocabulary_min_count: Positive
    vocabulary_max_size: Positive

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if not (self.categorical or self.dense):
            raise ValueError("neither categorical nor dense inputs are declared; a model needs one")
        return self

    @model_validator(mode="after")
    def _sharers_of_a_table_agree(self) -> Self:
        for one, other in combinations(self.categorical, 2):
            is_shared = one.table_name == other.table_name
            if is_shared and (one.hash_size, one.dim) != (other.hash_size, other.dim):
                raise ValueError(
                    f"{one.column} and {other.column} share table {one.table_name}, but their hash_size "
                    f"and dim are {(one.hash_size, one.dim)} and {(other.hash_size, other.dim)}"
                )
        return self
