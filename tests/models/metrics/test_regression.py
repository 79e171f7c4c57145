"""States of regression cells against plain means, merge order and their own bytes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import LamplighterError
from models.metrics.bootstrap import user_weights
from models.metrics.regression import REGRESSION_METRICS, RegressionState

Rows = list[tuple[float, float, int, int]]  # prediction, label, user, weight
NUMBERS = st.floats(-1e3, 1e3, allow_nan=False, width=32)
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS, st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=40)


def state(rows: Rows, replicates: int = 5) -> RegressionState:
    predictions, labels, users, weight = (np.array(column) for column in zip(*rows, strict=True))
    return RegressionState.of(predictions, labels, weight, user_weights(users, replicates))


def test_errors_are_weighted_means_over_rows_and_padding_does_not_count() -> None:
    found = state([(3.0, 1.0, 1, 1), (0.0, 1.0, 2, 3), (9.0, 0.0, 3, 0)])

    assert found.counts() == {"rows": 2}
    assert found.value("mse", min_rows=1) == (1 * 4 + 3 * 1) / 4
    assert found.value("mae", min_rows=1) == (1 * 2 + 3 * 1) / 4


@given(ROWS, ROWS, ROWS)
@settings(max_examples=40)
def test_states_merge_in_any_order_and_through_bytes_to_the_plain_definitions(
    a: Rows, b: Rows, c: Rows
) -> None:
    rows = a + b + c
    p, y, users, v = (np.array(column) for column in zip(*rows, strict=True))
    copies = np.column_stack([np.ones(len(v)), user_weights(users, 5)]) * v[:, None]

    for merged in (
        state(a).merge(state(b), state(c)),
        state(c).merge(RegressionState.from_bytes(state(b).to_bytes())).merge(state(a)),
    ):
        assert merged.rows == (v > 0).sum()
        for metric, error in (("mse", (p - y) ** 2), ("mae", np.abs(p - y))):
            with np.errstate(invalid="ignore"):
                expected = (error @ copies) / copies.sum(axis=0)
            np.testing.assert_allclose(merged.replicate_values(metric), expected[1:], rtol=1e-9, atol=1e-9)
            if v.any():
                assert merged.value(metric, 1) == pytest.approx(expected[0], rel=1e-9, abs=1e-9)


def test_too_few_rows_give_null() -> None:
    found = state([(1.0, 0.0, k, 1) for k in range(29)])

    assert [found.value(metric) for metric in REGRESSION_METRICS] == [None, None]
    assert [found.value(metric, min_rows=29) for metric in REGRESSION_METRICS] == [1.0, 1.0]


@pytest.mark.parametrize("row", [(np.nan, 0.0), (0.0, np.nan), (np.inf, 0.0)])
def test_a_prediction_or_label_that_is_not_finite_is_refused(row: tuple[float, float]) -> None:
    with pytest.raises(LamplighterError, match="1 of 2 predictions or labels are not finite"):
        state([(*row, 1, 1), (1.0, 1.0, 1, 1)])


def test_a_state_is_read_back_from_its_bytes_unchanged() -> None:
    before = state([(0.1, 0.3, k, 1 + k % 3) for k in range(20)])

    after = RegressionState.from_bytes(before.to_bytes())

    assert after.rows == before.rows
    np.testing.assert_array_equal(after.sums, before.sums)
