"""Calibration recovers a change of the odds, and never reverses an order."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from core.schema import Task
from models.serving.calibration import MIN_SLOPE, Calibration, fit_calibration

CLICK = Task(name="click", label="is_click = 1", kind="binary")
GROUPS = ("new", "low", "high")


def fit(
    z: np.ndarray, y: np.ndarray, group: np.ndarray | None = None, weight: np.ndarray | None = None
) -> Calibration:
    n = len(z)
    group = np.zeros(n, int) if group is None else group
    weight = np.ones(n) if weight is None else weight
    return fit_calibration(z[:, None], y[:, None], np.ones((n, 1)), weight, group, [CLICK], GROUPS)


def draw(n: int, shift_of_new: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits z of a model that is too sure of itself: the odds are exp(0.5 z - 1), higher for new users."""
    rng = np.random.default_rng(3)
    z, group = rng.normal(0, 2, n), rng.integers(0, 3, n)
    truth = 0.5 * z - 1 + shift_of_new * (group == 0)
    return z, rng.random(n) < 1 / (1 + np.exp(-truth)), group


def test_slope_and_intercept_have_the_maximum_likelihood() -> None:
    z, y, group = draw(5_000)

    fitted = fit(z, y, group)

    peer = LogisticRegression(C=1e9, tol=1e-10).fit(z[:, None], y)
    assert fitted.slopes[0] == pytest.approx(peer.coef_[0, 0], rel=1e-4)
    assert fitted.intercepts[0] == pytest.approx(peer.intercept_[0], rel=1e-4)
    assert fitted.notes == ()


def test_the_offset_of_a_cohort_is_shrunk_by_the_size_of_its_rarer_class() -> None:
    z, y, group = draw(1_000, shift_of_new=1.5)

    fitted = fit(z, y, group)

    new = group == 0
    base = fitted.slopes[0] * z[new] + fitted.intercepts[0]
    grid = np.linspace(-3, 3, 60_001)
    likelihood = [(y[new] * (base + d) - np.logaddexp(0, base + d)).sum() for d in grid[::100]]
    likeliest = grid[::100][np.argmax(likelihood)]
    n = min(y[new].sum(), (~y[new]).sum())
    assert fitted.offsets[0][0] == pytest.approx(n / (n + 50) * likeliest, abs=0.01)
    assert fitted.offsets[0][0] > 0.3 > 0 > fitted.offsets[0][2]


def test_calibration_does_not_change_auc_inside_a_cell() -> None:
    z, y, group = draw(3_000, shift_of_new=1.5)

    p = fit(z, y, group).apply(z[:, None], group)[:, 0]

    for c in range(3):
        own = group == c
        assert roc_auc_score(y[own], p[own]) == roc_auc_score(y[own], z[own])
        assert p[own].mean() == pytest.approx(y[own].mean(), abs=0.02)


def test_a_model_of_reversed_order_keeps_it_and_gets_a_note() -> None:
    z, y, group = draw(2_000)

    fitted = fit(-z, y, group)

    assert fitted.slopes == (MIN_SLOPE,)
    assert fitted.notes == (f"click: logits do not rise with labels, slope set to {MIN_SLOPE}",)
    assert fitted.apply(-z[:, None], group).mean() == pytest.approx(y.mean(), abs=0.01)


@pytest.mark.parametrize("label", [0, 1])
def test_a_task_with_one_class_is_not_calibrated_and_noted(label: int) -> None:
    fitted = fit(np.array([0.3, -0.2]), np.array([label, label]))

    assert (fitted.slopes, fitted.intercepts, fitted.offsets) == ((1.0,), (0.0,), ((0.0, 0.0, 0.0),))
    assert fitted.notes == (f"click: {2 * label} positives of 2 rows, not calibrated",)


def test_separable_rows_have_finite_calibration() -> None:
    fitted = fit(np.array([-1.0, -2.0, 1.0, 2.0]), np.array([0, 0, 1, 1]))

    assert 1 < fitted.slopes[0] < 100


def test_padding_changes_neither_calibration_nor_the_size_of_a_cohort() -> None:
    z, y, group = draw(300, shift_of_new=1.5)
    weight = np.repeat([1.0, 0.0], len(z))

    padded = fit(np.tile(z, 2), np.concatenate([y, ~y]), np.tile(group, 2), weight)

    assert padded == fit(z, y, group)


def test_a_calibration_that_would_reverse_the_order_is_refused() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        Calibration(tasks=("a",), groups=("g",), slopes=(-1.0,), intercepts=(0.0,), offsets=((0.0,),))
    with pytest.raises(ValueError, match="sizes"):
        Calibration(tasks=("a",), groups=("g", "h"), slopes=(1.0,), intercepts=(0.0,), offsets=((0.0,),))
