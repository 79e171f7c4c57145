"""Numbers that no order of computing changes."""

import numpy as np
import pytest

from jobs.workers.synthetic.hashing import normals, uniforms, uniforms_at


def test_numbers_are_a_hash_of_seed_stream_and_row_whatever_the_order() -> None:
    rows = np.arange(1000)

    some = uniforms(7, "clicks", rows[::-3], 4)

    assert np.array_equal(some, uniforms(7, "clicks", rows, 4)[::-3])
    assert not np.isin(some, uniforms(7, "likes", rows, 4)).any()
    assert not np.isin(some, uniforms(8, "clicks", rows, 4)).any()


def test_numbers_have_the_distribution_that_they_should() -> None:
    values = normals(1, "x", np.arange(50_000), 2)

    assert values.mean(0) == pytest.approx([0, 0], abs=0.02)
    assert np.cov(values.T) == pytest.approx(np.eye(2), abs=0.02)


def test_a_number_by_its_place_is_that_of_the_sequence() -> None:
    rows, places = np.array([5, 9, 5]), np.array([0, 2, 3])

    found = uniforms_at(7, "clicks", rows, places)

    assert np.array_equal(found, uniforms(7, "clicks", rows, 4)[np.arange(3), places])
