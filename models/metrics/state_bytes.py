"""Metric states as bytes: a few counts and a matrix of float64 sums; nothing is rounded.

Letters: S sums of a state, R bootstrap replicates.
"""

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import LamplighterError

_SHAPE = struct.Struct("<4sii")  # magic, S, 1 + R


def pack(magic: bytes, counts: Sequence[int], sums: NDArray[np.float64]) -> bytes:
    """Serialise.

    Args:
        magic: four letters that name the kind of state.
        counts: of rows, users and so on.
        sums: (S, 1 + R).
    """
    header = _SHAPE.pack(magic, *sums.shape)
    return header + np.array(counts, dtype="<i8").tobytes() + sums.astype("<f8").tobytes()


def unpack(magic: bytes, counts: int, data: bytes) -> tuple[list[int], NDArray[np.float64]]:
    """Read what `pack` wrote: the counts, of which there are `counts`, and the sums, (S, 1 + R).

    Raises:
        LamplighterError: the bytes are no state of this kind, or a truncated one.
    """
    try:
        found, *shape = _SHAPE.unpack_from(data)
        if found != magic:
            raise ValueError(f"it starts with {found!r}, not {magic!r}")
        numbers = np.frombuffer(data, "<i8", count=counts, offset=_SHAPE.size)
        sums = np.frombuffer(data, "<f8", offset=_SHAPE.size + 8 * counts).reshape(shape)
    except (struct.error, ValueError) as error:
        raise LamplighterError(
            f"{len(data)} bytes are no metric state ({error}); evaluate these data dates again"
        ) from error
    return numbers.tolist(), sums
