"""Random numbers that are a hash of (seed, stream, row, number): no order of computing changes them."""

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from models.metrics.bootstrap import GOLDEN, mix64

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def uniforms_at(seed: int, stream: str, rows: NDArray[Any], numbers: NDArray[Any]) -> Floats:
    """Return one number per row and place in its sequence, uniform between 0 and 1, ends left out.

    Args:
        seed: of the data set.
        stream: what the numbers are for; streams are independent.
        rows: ids of rows, integers.
        numbers: places in the sequences of these rows, from 0; any shape that broadcasts with `rows`.
    """
    with np.errstate(over="ignore"):  # splitmix64 is arithmetic modulo 2**64
        key = mix64(np.array([seed], dtype=np.uint64) * GOLDEN + np.uint64(zlib.crc32(stream.encode())))
        keys = mix64(key ^ np.asarray(rows).astype(np.uint64))
        bits = mix64(keys + GOLDEN * (np.asarray(numbers).astype(np.uint64) + np.uint64(1)))
    return ((bits >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def uniforms(seed: int, stream: str, rows: NDArray[Any], count: int) -> Floats:
    """Return the first `count` numbers of each row's sequence, (n, count); arguments as of `uniforms_at`."""
    return uniforms_at(seed, stream, np.asarray(rows)[:, None], np.arange(count))


def normals(seed: int, stream: str, rows: NDArray[Any], count: int) -> Floats:
    """Return `count` standard normal numbers per row, (n, count); arguments as of `uniforms`."""
    values: Floats = ndtri(uniforms(seed, stream, rows, count))
    return values
