"""Calibration recovers a change of the odds, and never reverses an order."""

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from core.schema import Task
from models.serving.calibration import MIN_SLOPE, Calibration, fit_calibration

CLICK = Task(name="click", label="is_click = 1", kind="binary")
GROUPS = ("new", "low", "high")


def fit(
    z: np.ndarray,
    y: np.ndarray,
    group: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    **options: float,
) -> Calibration:
    n = len(z)
    group = np.zeros(n, int) if group is None else group
    weight = np.ones(n) if weight is None else weight
    return fit_calibration(z[:, None], y[:, None], np.ones((n, 1)), weight, group, [CLICK], GROUPS, **options)


def draw(n: int, shift_of_new: float = 0.0, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits z of a model that is too sure of itself: the odds are exp(0.5 z - 1), higher for new users."""
    rng = np.random.default_rng(seed)
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


def test_slope_and_offset_of_a_cohort_are_shrunk_by_the_size_of_its_rarer_class() -> None:
    z, y, group = draw(6_000, shift_of_new=1.5)
    z[group == 0] *= 2  # a tower of another scale

    fitted = fit(z, y, group)

    new = group == 0
    base = fitted.slopes[0] * z[new] + fitted.intercepts[0]
    line = LogisticRegression(C=1e9, tol=1e-10).fit(base[:, None], y[new])
    grid = np.linspace(-3, 3, 6_001)
    likelihood = [(y[new] * (base + d) - np.logaddexp(0, base + d)).sum() for d in grid]
    offset = grid[np.argmax(likelihood)]
    n = min(y[new].sum(), (~y[new]).sum())
    of_line = n / (n + 500)
    assert 500 < n < 1_500
    assert fitted.cohort_slopes is not None
    assert fitted.cohort_slopes[0][0] == pytest.approx(1 + of_line * (line.coef_[0, 0] - 1), abs=1e-3)
    assert fitted.offsets[0][0] == pytest.approx(
        n / (n + 50) * offset + of_line * (line.intercept_[0] - offset), abs=1e-3
    )
    assert line.coef_[0, 0] < 0.8


def test_towers_of_different_scale_are_calibrated_each() -> None:
    z, y, group = draw(30_000)
    scale = np.array([0.5, 1.0, 2.0])[group]
    z, test, tested, of_test = z * scale, *draw(20_000, seed=4)
    test = test * np.array([0.5, 1.0, 2.0])[of_test]

    fitted, offsets_alone = fit(z, y, group), fit(z, y, group, slope_shrinkage=np.inf)

    for c in range(3):
        own = of_test == c
        losses = [
            log_loss(tested[own], at.apply(test[own, None], of_test[own])[:, 0])
            for at in (fitted, offsets_alone)
        ]
        best = (
            LogisticRegression(C=1e9).fit(test[own, None], tested[own]).predict_proba(test[own, None])[:, 1]
        )
        least = log_loss(tested[own], best)
        assert losses[0] - least < 0.001
        assert losses[1] - least > 0.003


def test_a_small_cohort_keeps_the_slope_of_all() -> None:
    z, y, group = draw(3_000)
    group[:] = 1
    group[:12] = 0
    y[:12] = z[:12] > np.median(z[:12])  # separable: its likeliest slope is far from 1

    fitted = fit(z, y, group)

    assert fitted.cohort_slopes is not None
    assert 1 <= fitted.cohort_slopes[0][0] < 1.5
    assert fitted.cohort_slopes[0][2] == 1  # no rows at all
    assert fitted.cohort_slopes[0][1] == pytest.approx(1, abs=0.01)


def test_a_calibration_from_before_there_were_slopes_of_cohorts_has_slopes_of_1() -> None:
    fields = {
        "tasks": ["a"],
        "groups": ["g", "h"],
        "slopes": [2.0],
        "intercepts": [0.5],
        "offsets": [[0.0, 1.0]],
    }
    z, group = np.array([[1.0], [1.0]]), np.array([0, 1])

    old = Calibration.model_validate_json(json.dumps(fields))
    new = Calibration.model_validate_json(json.dumps(fields | {"cohort_slopes": [[1.0, 1.0]]}))

    assert old.logits(z, group).tolist() == [[2.5], [3.5]]
    assert new.logits(z, group).tolist() == old.logits(z, group).tolist()
    scaled = new.model_copy(update={"cohort_slopes": ((1.0, 0.5),)})
    assert scaled.logits(z, group).tolist() == [[2.5], [0.5 * 2.5 + 1]]


def test_calibration_does_not_change_auc_inside_a_cell() -> None:
    z, y, group = draw(3_000, shift_of_new=1.5)
    z *= np.array([0.3, 1.0, 2.0])[group]

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
    assert fitted.cohort_slopes == ((1.0, 1.0, 1.0),)
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
    sizes = {"tasks": ("a",), "groups": ("g", "h"), "slopes": (1.0,), "intercepts": (0.0,)}
    with pytest.raises(ValueError, match="sizes"):
        Calibration(**sizes, offsets=((0.0,),))
    with pytest.raises(ValueError, match="sizes"):
        Calibration(**sizes, offsets=((0.0, 0.0),), cohort_slopes=((1.0,),))
    with pytest.raises(ValueError, match="must be positive"):
        Calibration(**sizes, offsets=((0.0, 0.0),), cohort_slopes=((1.0, 0.0),))
