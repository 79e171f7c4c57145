"""Where the columns of a row lie in its input vector, for trunks that read some of them by name.

Letters: B rows, D width of the input vector, P columns that are read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from core.encoder import Encoder
from core.errors import ConfigError
from models.modules.input import SIDES
from models.modules.pairs import Rows


@dataclass(frozen=True)
class Layout:
    """What an input vector is made of.

    Attributes:
        width: D.
        places: column -> its slice of the vector.
    """

    width: int
    places: Mapping[str, slice] = field(default_factory=dict)

    def of(self, columns: Sequence[str], key: str) -> "Columns":
        """Return some columns, to be read.

        Args:
            columns: their names.
            key: of the configuration that names them.

        Raises:
            ConfigError: a column is no input of the model, or is named twice.
        """
        if unknown := sorted(set(columns) - set(self.places)):
            raise ConfigError(f"{key} names {unknown}, which are no inputs; inputs are {sorted(self.places)}")
        if len(set(columns)) < len(columns):
            raise ConfigError(f"{key} names a column twice: {list(columns)}")
        return Columns([self.places[column] for column in columns])


class Columns:
    """Some columns of input vectors.

    Attributes:
        width: P.

    Args:
        places: their slices of the vector.
    """

    def __init__(self, places: Sequence[slice]) -> None:
        self._places = tuple(places)
        self.width = sum(place.stop - place.start for place in places)

    def of(self, x_BD: Rows) -> Tensor:
        """Return the columns of input vectors, (B, D), next to each other, (B, P)."""
        parts = (x_BD[:, at] if isinstance(x_BD, Tensor) else x_BD.columns(at) for at in self._places)
        return torch.cat([*parts], dim=1)


def layout_of(encoder: Encoder) -> Layout:
    """Return the layout of the vectors that `InputLayer` makes: by side, categorical before dense."""
    places: dict[str, slice] = {}
    end = 0
    for side in SIDES:
        own = encoder.side(side)
        widths = {c.column: c.dim for c in own.categorical} | {d.column: 1 for d in own.dense}
        for column, width in widths.items():
            places[column] = slice(end, end + width)
            end += width
    return Layout(end, places)
