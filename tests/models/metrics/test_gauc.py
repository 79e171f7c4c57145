"""GAUC against scikit-learn user by user, and its state over disjoint users."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from models.metrics.bootstrap import user_weights
from models.metrics.gauc import GaucState


def through_bytes(state: GaucState) -> GaucState:
    return GaucState.from_bytes(state.to_bytes())


def test_gauc_weighs_users_by_impressions_and_skips_those_with_one_class() -> None:
    users = np.array(["a", "a", "b", "b", "b", "c", "c"])
    z = np.array([2.0, 1.0, 1.0, 1.0, 0.0, 5.0, 6.0])
    y = np.array([1, 0, 1, 0, 0, 1, 1])  # a: 1; b: (half of a tie + won) / 2 = 0.75; c: clicks only
    weights = user_weights(users, 10)

    gauc = GaucState.of(users, z, y, np.ones(7), weights)

    assert gauc.counts() == {"rows": 5, "users": 2, "one_class_users": 1}
    assert gauc.value("gauc", min_users=1) == pytest.approx((2 * 1 + 3 * 0.75) / 5)
    assert gauc.value("gauc") is None
    a, b = weights[0].astype(float), weights[2].astype(float)
    with np.errstate(invalid="ignore"):
        expected = (2 * a * 1 + 3 * b * 0.75) / (2 * a + 3 * b)
    np.testing.assert_allclose(gauc.replicate_values("gauc"), expected)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.booleans()), min_size=1, max_size=50))
@settings(max_examples=40)
def test_gauc_equals_scikit_learn_user_by_user_and_merges_over_users_and_through_bytes(
    rows: list[tuple[int, int, bool]],
) -> None:
    users, z, y = (np.array(column) for column in zip(*rows, strict=True))

    def of(keep: np.ndarray) -> GaucState:
        return GaucState.of(users[keep], z[keep], y[keep], np.ones(keep.sum()), user_weights(users[keep], 4))

    mixed = [u for u in set(users) if len(set(y[users == u])) == 2]
    sizes = [(users == u).sum() for u in mixed]
    whole, merged = of(users >= 0), of(users < 2).merge(of(users == 2), through_bytes(of(users > 2)))

    assert whole.counts() == merged.counts()
    assert whole.users == len(mixed)
    np.testing.assert_allclose(merged.won, whole.won)
    if mixed:
        aucs = [roc_auc_score(y[users == u], z[users == u]) for u in mixed]
        assert whole.value("gauc", 1) == pytest.approx(np.average(aucs, weights=sizes))


def test_a_row_of_weight_zero_is_no_impression_and_its_user_does_not_count_as_skipped() -> None:
    users, labels, weight = np.array([2, 1, 1, 1]), np.array([1, 1, 0, 0]), np.array([0.0, 2.0, 1.0, 0.0])
    drawn = np.array([[7], [3], [3], [3]], np.uint8)

    gauc = GaucState.of(users, np.array([0.0, 0.0, 1.0, -1.0]), labels, weight, drawn)

    assert gauc.counts() == {"rows": 2, "users": 1, "one_class_users": 0}
    assert gauc.value("gauc", 1) == 0.0  # the row that would have been won does not count
    assert gauc.impressions.tolist() == [3.0, 3 * 3.0]
