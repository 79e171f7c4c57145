"""Gains and their intervals against numbers worked out by hand."""

import numpy as np
import pytest

from quality.gains import (
    Z_POWER,
    Gain,
    Measured,
    Metric,
    Sampled,
    Z,
    cell_gain,
    exact_digits,
    has_power,
    mean_gain,
    normal_interval_error,
    percentile_interval_error,
)
from tests.quality.measured import constant, noise


def sampled(value: float, std: float, number: int = 0) -> Sampled:
    return Sampled(value, value + std * noise(number))


@pytest.mark.parametrize(
    ("metric", "ours", "theirs", "gain"),
    [
        ("auc", 0.72, 0.70, 0.02),
        ("gauc", 0.68, 0.70, -0.02),
        ("mse", 0.9, 1.1, 0.2),  # .2 less, of a mean of 1
        ("mae", 33.0, 27.0, -0.2),  # 6 more, of a mean of 30: units do not matter
    ],
)
def test_a_gain_is_positive_where_ours_is_better(
    metric: Metric, ours: float, theirs: float, gain: float
) -> None:
    found = cell_gain(metric, constant(ours), constant(theirs))

    assert found is not None
    assert found.value == pytest.approx(gain)
    assert found.replicates == pytest.approx(np.full(400, gain))


@pytest.mark.parametrize("metric", ["auc", "mse"])
def test_swapping_the_models_turns_gains_around_and_keeps_the_weights(metric: Metric) -> None:
    ours = [Measured(0.8, 0.8 + 0.01 * noise(0)), Measured(0.6, 0.6 + 0.03 * noise(1))]
    theirs = [constant(0.7), constant(0.65)]

    one, other = (
        mean_gain([cell_gain(metric, a, b) or sampled(0, 0) for a, b in pairs], [0.001, 0.001])
        for pairs in (zip(ours, theirs, strict=True), zip(theirs, ours, strict=True))
    )

    assert one.weights == pytest.approx(other.weights)
    assert one.gain.value == pytest.approx(-other.gain.value)
    assert (one.gain.low, one.gain.high) == (
        pytest.approx(-other.gain.high),
        pytest.approx(-other.gain.low),
    )


def test_cells_weigh_as_much_as_they_are_precise() -> None:
    click, like = sampled(0.002, 0.001, 0), sampled(0.05, 0.01, 1)  # variances 1 : 100

    mean = mean_gain([click, like], [0.0, 0.0])

    assert mean.weights == pytest.approx((100 / 101, 1 / 101))
    assert mean.gain.value == pytest.approx((100 * 0.002 + 0.05) / 101)
    assert mean.gain.std == pytest.approx(np.sqrt(1 / (1 / 0.001**2 + 1 / 0.01**2)))


def test_the_gains_of_a_noisy_task_do_not_carry_the_mean() -> None:
    likes = [sampled(gain, 0.01, 1) for gain in (-0.03, 0.03)]

    low, high = (mean_gain([sampled(0.0, 0.001), like], [0.0015, 0.0015]).gain.value for like in likes)

    assert abs(high - low) < 0.002  # of the unweighted mean: .03


def test_cells_of_the_same_users_that_vary_together_do_not_narrow_the_interval() -> None:
    together = mean_gain([sampled(0.0, 0.01, 0), sampled(0.0, 0.01, 0)], [0.0, 0.0])
    apart = mean_gain([sampled(0.0, 0.01, 0), sampled(0.0, 0.01, 1)], [0.0, 0.0])

    assert together.gain.std == pytest.approx(0.01)
    assert apart.gain.std == pytest.approx(0.01 / np.sqrt(2))


def test_the_variance_of_seeds_is_added_to_that_of_users() -> None:
    mean = mean_gain([sampled(0.01, 0.003)], [0.004]).gain

    assert mean.std == pytest.approx(0.005)
    assert (mean.low, mean.high) == (
        pytest.approx(0.01 - 1.96 * 0.005, abs=1e-6),
        pytest.approx(0.01 + 1.96 * 0.005, abs=1e-6),
    )


def test_a_cell_that_is_large_enough_is_no_more_precise_than_its_seeds() -> None:
    huge, large = sampled(0.0, 0.0001, 0), sampled(0.0, 0.001, 1)

    assert mean_gain([huge, large], [0.004, 0.004]).weights == pytest.approx((0.515, 0.485), abs=0.001)


def test_seeds_move_all_cells_alike_so_many_cells_do_not_average_them_out() -> None:
    mean = mean_gain([sampled(0.0, 0.0001, number) for number in range(9)], [0.004] * 9)

    assert mean.gain.std == pytest.approx(0.004, rel=1e-3)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Measured(None, np.array([])), constant(0.7)),
        (constant(0.7), Measured(None, np.array([]))),
        (Measured(0.7, np.array([0.7, np.nan, 0.7])), Measured(0.7, np.full(3, 0.7))),
        (Measured(0.7, np.array([])), Measured(0.7, np.array([]))),
        (Measured(0.7, np.array([0.7])), Measured(0.7, np.array([0.7]))),  # one has no variance
        (Measured(None, np.full(400, 0.7)), constant(0.7)),
    ],
)
def test_a_gain_is_not_known_where_a_value_or_a_replicate_is_missing(
    ours: Measured, theirs: Measured
) -> None:
    assert cell_gain("auc", ours, theirs) is None


def test_two_replicates_are_enough_for_a_gain() -> None:
    found = cell_gain("auc", Measured(0.7, np.array([0.6, 0.8])), Measured(0.6, np.array([0.6, 0.6])))

    assert found is not None
    assert found.gain().std == pytest.approx(np.sqrt(0.02))  # of 0 and .2, over R - 1


def test_errors_of_zero_have_no_gain() -> None:
    some = np.full(400, 0.1)

    assert cell_gain("mse", Measured(0.0, some), Measured(0.0, some)) is None


@pytest.mark.parametrize(
    ("std", "powered"),
    [
        (0.01 / 2.81, True),  # 1.96 + .84 = 2.80
        (0.01 / 2.79, False),
        (0.01 / (Z + Z_POWER), True),
    ],
)
@pytest.mark.parametrize("value", [-0.03, 0.0, 0.03])
def test_power_depends_on_the_length_of_the_interval_and_not_on_where_it_lies(
    std: float, powered: bool, value: float
) -> None:
    assert has_power(Gain(value, value - 1.96 * std, value + 1.96 * std, std, 4), 0.01) is powered


def test_power_means_that_four_of_five_samples_exclude_a_loss_of_the_margin() -> None:
    margin, std = 0.01, 0.01 / 2.801586
    estimates = std * np.random.default_rng(1).standard_normal(200_000)

    assert np.mean(estimates - 1.96 * std > -margin) == pytest.approx(0.8, abs=0.005)


@pytest.mark.parametrize(
    ("error", "digits"), [(0.0, 4), (0.00004, 4), (0.00006, 3), (0.0005, 3), (0.0006, 2), (0.06, 0), (3, 0)]
)
def test_a_digit_is_shown_if_it_is_exact_to_half_a_unit(error: float, digits: int) -> None:
    assert exact_digits(error) == digits


def test_a_gain_is_printed_with_the_digits_that_its_replicates_carry() -> None:
    fine, coarse = sampled(0.0123456, 0.0005).gain(), sampled(0.0123456, 0.02).gain()

    assert str(fine) == "+0.0123 [+0.0114, +0.0133]"  # error .0005 * 1.96 / sqrt(800)
    assert str(coarse) == "+0.01 [-0.03, +0.05]"


@pytest.mark.parametrize("replicates", [200, 1000])
def test_monte_carlo_errors_are_those_of_repeated_draws(replicates: int) -> None:
    draws = 0.01 * np.random.default_rng(2).standard_normal((4000, replicates))
    normal = -1.96 * draws.std(axis=1, ddof=1)
    percentile = np.percentile(draws, 2.5, axis=1)

    assert normal.std() == pytest.approx(normal_interval_error(0.01, replicates), rel=0.05)
    assert percentile.std() == pytest.approx(percentile_interval_error(0.01, replicates), rel=0.08)


def test_monte_carlo_errors_follow_from_the_density_of_the_normal_distribution() -> None:
    assert normal_interval_error(1.0, 400) == pytest.approx(1.959964 / 800**0.5)
    assert percentile_interval_error(1.0, 400) == pytest.approx(0.133566, rel=1e-4)  # .0078062 / .0584451
