"""Input vectors of all pairs of some users and the items of a pool, kept as the parts that they are made of.

x = [user | item | context | pair], so a linear map of x is a sum of maps of its parts:
x W = u Wu + i Wi + c Wc + p Wp. What a layer computes of items and context is the same for all users, and is
kept; what it computes of a user is the same for all items. The vectors themselves, and products with
them, are never made.

Letters: U users, I items, B rows, U I of them unless pairs are picked; D width of the input vector, N outputs
of a map.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from core.encoder import Entity
from models.modules.input import SIDES

BLOCK = 16
"""Rows of matrix products come in multiples of it: the library computes those of an incomplete block in
another order, so that a row's numbers would depend on its place."""


class PoolRows:
    """The items of a pool and the context, and what linear maps have made of them.

    Parameters do not change meanwhile: products are kept as long as this object. They are computed in
    float64 and rounded once, so that equal items get equal numbers, whatever their places.

    Attributes:
        widths: of the sides' parts, in the order of the vector.

    Args:
        items_ID: the items' parts of the input vector, (I, width of the side); I a multiple of BLOCK.
        context_1D: the context's, (1, width of the side).
        widths: side -> width of its part, in the order of the vector.
    """

    def __init__(self, items_ID: Tensor, context_1D: Tensor, widths: Mapping[Entity, int]) -> None:
        self.items_ID, self.context_1D = items_ID, context_1D
        self.widths = [widths[side] for side in SIDES]
        self._kept: dict[tuple[int, ...], _Map] = {}

    def __len__(self) -> int:
        return len(self.items_ID)

    def of_map(self, weights_ND: Sequence[Tensor]) -> "_Map":
        """Return what is kept of a map.

        Args:
            weights_ND: parameters, which are concatenated.
        """
        key = tuple(map(id, weights_ND))
        if key not in self._kept:
            parts = join(weights_ND).split(self.widths, dim=1)
            of = dict(zip(SIDES, parts, strict=True))
            product_IN = self.items_ID.double() @ of["item"].double().T
            product_IN += self.context_1D.double() @ of["context"].double().T
            rounded_IN = product_IN.to(self.items_ID.dtype)
            self._kept[key] = _Map(weights_ND, key, of["user"].double(), rounded_IN, of["pair"])
        return self._kept[key]


class _Map(NamedTuple):
    """A linear map of a pool.

    Attributes:
        weights: the parameters, kept so that no other tensor gets their id.
        key: their ids.
        users: weights of the users' parts, (N, width of the side), float64.
        items: products of items and context, (I, N).
        pairs: weights of the pairs' parts, (N, width of the side).
    """

    weights: Sequence[Tensor]
    key: tuple[int, ...]
    users: Tensor
    items: Tensor
    pairs: Tensor


class UserRows:
    """Users, and what linear maps have made of them; slices share what is kept.

    Products are computed in float64 and rounded once, as those of items.

    Args:
        users_UD: the users' parts of the input vector, (U, width of the side); U a multiple of BLOCK.
    """

    def __init__(self, users_UD: Tensor) -> None:
        self.users_UD = users_UD
        self._all_UD = users_UD
        self._rows = slice(None)
        self._kept: dict[tuple[int, ...], Tensor] = {}

    def __len__(self) -> int:
        return len(self.users_UD)

    def __getitem__(self, rows: slice) -> "UserRows":
        some = copy(self)
        some.users_UD, some._rows = self._all_UD[rows], rows
        return some

    def of_map(self, of: _Map) -> Tensor:
        """Return the products of these users, (U, N)."""
        if of.key not in self._kept:
            product_UN = self._all_UD.double() @ of.users.T
            self._kept[of.key] = product_UN.to(self._all_UD.dtype)
        return self._kept[of.key][self._rows]


class PairRows:
    """Rows of pairs of some users and the items of a pool: all pairs, or some.

    Args:
        users: U of them.
        pool: items and context.
        pairs_BD: the pairs' own parts, (B, width of the side).
        picked: places of users and of items, (B,) each; None: each user with each item, user by user.
    """

    def __init__(
        self,
        users: UserRows,
        pool: PoolRows,
        pairs_BD: Tensor,
        picked: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self.users, self.pool, self.pairs_BD, self.picked = users, pool, pairs_BD, picked

    def __len__(self) -> int:
        return len(self.users) * len(self.pool) if self.picked is None else len(self.picked[0])

    def linear(self, weights_ND: Sequence[Tensor]) -> Tensor:
        """Return x W^T, (B, N), of weights that are concatenated."""
        kept = self.pool.of_map(weights_ND)
        users_UN = self.users.of_map(kept)
        if self.picked is None:
            product_BN = (users_UN[:, None] + kept.items).flatten(0, 1)
        else:
            users_B, items_B = self.picked
            product_BN = users_UN[users_B] + kept.items[items_B]
        return product_BN.addmm_(self.pairs_BD, kept.pairs.T) if self.pairs_BD.shape[1] else product_BN

    def joined(self) -> Tensor:
        """Return the input vectors, (B, D)."""
        return torch.cat([self._part(side, slice(None)) for side in SIDES], dim=1)

    def columns(self, places: slice) -> Tensor:
        """Return some columns of the input vectors that are of one side, (B, number of columns)."""
        start = 0
        for side, width in zip(SIDES, self.pool.widths, strict=True):
            if places.stop <= start + width:
                return self._part(side, slice(places.start - start, places.stop - start))
            start += width
        raise IndexError(f"columns {places.start} to {places.stop} of an input vector of {start}")

    def _part(self, side: Entity, columns: slice) -> Tensor:
        """Return columns of one side's part, (B, their number)."""
        users, items = len(self.users), len(self.pool)
        users_B, items_B = self.picked or (
            torch.arange(users).repeat_interleave(items),
            torch.arange(items).repeat(users),
        )
        if side == "user":
            return self.users.users_UD[:, columns][users_B]
        if side == "item":
            return self.pool.items_ID[:, columns][items_B]
        if side == "context":
            return self.pool.context_1D[:, columns].expand(len(self), -1)
        return self.pairs_BD[:, columns]


Rows = Tensor | PairRows
"""Input vectors, (B, D): whole, or as pairs."""


def linear(x_BD: Rows, weights_ND: Sequence[Tensor]) -> Tensor:
    """Return x W^T, (B, N), of weights that are concatenated."""
    return F.linear(x_BD, join(weights_ND)) if isinstance(x_BD, Tensor) else x_BD.linear(weights_ND)


def join(parameters: Sequence[Tensor]) -> Tensor:
    """Concatenate parameters that act on one input; a single one is not copied."""
    return parameters[0] if len(parameters) == 1 else torch.cat(list(parameters))
