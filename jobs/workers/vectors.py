"""Maps of users' vectors by key, as Spark hands them to workers, into arrays."""

import numpy as np
import pyarrow as pa

from models.serving.crosses import UserVectors

PREFIX = "_cross_"
"""What the columns of maps begin with, and no declared column does."""


def vectors_of(maps: pa.Array, inputs: int) -> UserVectors:
    """Return the maps of some users, null for none, as arrays.

    Args:
        maps: of one cross, one per user.
        inputs: number of inputs of the cross.
    """
    offsets = maps.offsets.to_numpy()
    own = slice(offsets[0], offsets[-1])
    vectors = maps.items[own].flatten().to_numpy(zero_copy_only=False)
    return UserVectors(
        owner=np.repeat(np.arange(len(maps)), np.diff(offsets)),
        key=maps.keys[own].to_numpy().astype(np.int64),
        values=vectors.astype(np.float32).reshape(-1, inputs),
    )
