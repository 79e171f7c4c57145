"""Rows of ids with no, few and many training rows."""

import numpy as np
import pytest

from bench.id_rows import FEW, HISTORIES, IdRows, of_known_truth


@pytest.fixture(scope="module")
def rows() -> IdRows:
    return of_known_truth(3, 0.9, is_coded=True)


def test_a_history_is_the_number_of_training_rows(rows: IdRows) -> None:
    for place, side in enumerate(("user", "item")):
        counts = np.bincount(rows.data.train.categorical[:, place])
        ids = rows.test.categorical[:, place]
        expected = np.where(ids == 0, 0, np.where(counts[ids] < FEW, 1, 2))
        for kind, name in enumerate(HISTORIES):
            np.testing.assert_array_equal(rows.history[f"{side}|{name}"], expected == kind)
            assert 0.3 < rows.history[f"{side}|{name}"].mean() < 0.36


def test_coded_attributes_are_those_of_the_truth_times_signs(rows: IdRows) -> None:
    plain = of_known_truth(3, 0.9, is_coded=False)

    coded = rows.test.dense[:, :6] * rows.test.dense[:, 6:12]

    np.testing.assert_allclose(coded, plain.test.dense[:, :6])
    assert set(np.unique(rows.test.dense[:, 6:12])) == {-1, 1}
    assert len(rows.attributes["item_id"]) == 12


def test_without_ids_no_column_of_ids_is_left(rows: IdRows) -> None:
    without = rows.with_ids(False)

    assert without.test.categorical.shape[1] == 0
    assert not without.data.encoder.categorical
    assert without.attributes == {}
