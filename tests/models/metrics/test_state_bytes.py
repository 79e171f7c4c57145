"""Bytes of states: exact, and refused where they are no state."""

import numpy as np
import pytest

from core.errors import LamplighterError
from models.metrics.state_bytes import pack, unpack

SUMS = np.array([[0.1, 1e-300, 3.0], [np.pi, 0.0, -1.0]])
DATA = pack(b"TEST", [2**40, 0], SUMS)


def test_counts_and_sums_are_read_back_unchanged() -> None:
    counts, sums = unpack(b"TEST", 2, DATA)

    assert counts == [2**40, 0]
    np.testing.assert_array_equal(sums, SUMS)


@pytest.mark.parametrize("data", [DATA.replace(b"TEST", b"ELSE"), DATA[:-8], DATA[:-1], DATA[:5], b""])
def test_another_kind_of_state_or_a_truncated_one_is_refused(data: bytes) -> None:
    with pytest.raises(LamplighterError, match=r"are no metric state .*evaluate these data dates again"):
        unpack(b"TEST", 2, data)
