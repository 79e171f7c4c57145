"""Inputs of a user and an item together: vectors of users by keys, looked up per item of the pool.

Letters: U users, I items, V keys of the pool's items, F inputs of one cross, n vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NO_KEY = -1


class UserVectors(NamedTuple):
    """What some users have of one cross; a user and a key that are not there have its defaults.

    Shapes: owner, places of the users, ascending, (n,); key, places of the keys, (n,); values, raw dense
    inputs, NaN for null, (n, F) float32.
    """

    owner: NDArray[np.int64]
    key: NDArray[np.int64]
    values: NDArray[np.float32]


@dataclass(frozen=True)
class Cross:
    """One cross of a model: which of the pair's inputs it has, and the key of each item.

    Args:
        inputs: places among the dense inputs of the pair, (F,).
        item_key: place of each item's key among the V keys, NO_KEY for none, (I,).
        defaults: raw dense inputs of a user and a key without events, NaN for null, (F,) float32.
    """

    inputs: NDArray[np.int64]
    item_key: NDArray[np.int64]
    defaults: NDArray[np.float32]

    def to_pairs(self, vectors: UserVectors, first: int, users: int) -> NDArray[np.float32]:
        """Return the inputs of each user with each item, (users, I, F).

        Args:
            vectors: of all users.
            first: place of the first user.
            users: how many; those who are not there have the defaults.
        """
        keys = 1 + int(self.item_key.max(initial=NO_KEY))
        by_key = np.tile(self.defaults, (users, keys + 1, 1))  # the last key is NO_KEY
        own = slice(*np.searchsorted(vectors.owner, (first, first + users)))
        by_key[vectors.owner[own] - first, vectors.key[own]] = vectors.values[own]
        pairs: NDArray[np.float32] = by_key[:, self.item_key]
        return pairs


def to_pair_inputs(
    crosses: Sequence[Cross], vectors: Sequence[UserVectors], first: int, users: int, items: int
) -> NDArray[np.float32]:
    """Return the dense inputs of pairs in the encoder's order, (users, items, inputs of all crosses).

    Args:
        crosses: of the pool; their `inputs` are the places of all inputs.
        vectors: of each cross; of the users whose rows are asked for.
        first: place of the first user.
        users: how many.
        items: I.
    """
    inputs = sum(len(cross.inputs) for cross in crosses)
    pairs = np.empty((users, items, inputs), np.float32)
    for cross, own in zip(crosses, vectors, strict=True):
        pairs[:, :, cross.inputs] = cross.to_pairs(own, first, users)
    return pairs
