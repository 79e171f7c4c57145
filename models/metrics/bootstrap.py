"""Bootstrap over users: weights that any process can compute alone, and intervals from them.

The weight of a user in a replicate is Poisson(1), read off hash(user_id, replicate). It depends on
nothing else, so replicates of partitions add up, and two models on the same rows are paired.
"""

import hashlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # step of splitmix64 (Steele, Lea, Flood, OOPSLA 2014)


def user_weights(user_ids: NDArray[Any], replicates: int) -> NDArray[np.uint8]:
    """Return each row its user's Poisson(1) weight in each replicate, (n, R).

    Cost: one hash per distinct user and replicate. Compute it once for a set of rows and use it for all
    their cells.

    Args:
        user_ids: (n,) integers, or strings (hashed with BLAKE2b).
        replicates: R.
    """
    users, row_user = np.unique(user_ids, return_inverse=True)
    if np.issubdtype(users.dtype, np.integer):
        keys = users.astype(np.int64).view(np.uint64)
    else:
        digests = b"".join(hashlib.blake2b(str(user).encode(), digest_size=8).digest() for user in users)
        keys = np.frombuffer(digests, dtype="<u8").astype(np.uint64)
    with np.errstate(over="ignore"):  # splitmix64 is arithmetic modulo 2**64
        streams = mix64(keys)[:, None] + GOLDEN * np.arange(1, replicates + 1, dtype=np.uint64)
        uniform = (mix64(streams) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    weights = np.searchsorted(_POISSON_CDF, uniform, side="right").astype(np.uint8)
    by_row: NDArray[np.uint8] = weights[row_user.reshape(-1)]
    return by_row


def interval(replicate_values: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return the 95 % percentile interval (2.5, 97.5) of replicate values; None when no replicate has one."""
    known = replicate_values[np.isfinite(replicate_values)]
    if not len(known):
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def paired_interval(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return the 95 % interval of ours minus theirs: values of the same replicates on the same rows."""
    return interval(ours - theirs)


def _poisson_cdf() -> NDArray[np.float64]:
    """Return P(X <= k) for k = 0, 1, ... up to where float64 says 1."""
    terms = np.array([math.exp(-1) / math.factorial(k) for k in range(17)])
    return np.cumsum(terms)


_POISSON_CDF = _poisson_cdf()


def mix64(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the finaliser of splitmix64: a bijection in which every input bit reaches every output bit."""
    values = values + GOLDEN
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
