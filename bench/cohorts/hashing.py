"""Random numbers that are a hash of (seed, stream, row): no order of computing changes them."""

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from models.metrics.bootstrap import GOLDEN, mix64

Floats = NDArray[np.float64]


def uniforms(seed: int, stream: str, rows: NDArray[Any], count: int) -> Floats:
    """Return `count` numbers per row, uniform between 0 and 1, ends left out: (n, count).

    Args:
        seed: of the data set.
        stream: what the numbers are for; streams are independent.
        rows: ids of rows, integers, (n,).
        count: numbers per row.
    """
    with np.errstate(over="ignore"):  # splitmix64 is arithmetic modulo 2**64
        key = mix64(np.array([seed], dtype=np.uint64) * GOLDEN + np.uint64(zlib.crc32(stream.encode())))
        keys = mix64(key ^ np.asarray(rows).astype(np.uint64))
        bits = mix64(keys[:, None] + GOLDEN * np.arange(1, count + 1, dtype=np.uint64))
    return ((bits >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def normals(seed: int, stream: str, rows: NDArray[Any], count: int) -> Floats:
    """Return `count` standard normal numbers per row, (n, count); arguments as of `uniforms`."""
    values: Floats = ndtri(uniforms(seed, stream, rows, count))
    return values
