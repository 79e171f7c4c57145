"""Intervals of rates and the variance of seeds, against numbers from elsewhere."""

import numpy as np
import pytest

from bench.promotion.rates import Rate, seed_std


@pytest.mark.parametrize(
    ("events", "trials", "low", "high"),
    [  # binom.test of R
        (0, 40, 0.0, 0.0881),
        (2, 40, 0.0061, 0.1692),
        (40, 40, 0.9119, 1.0),
        (25, 1000, 0.0162, 0.0367),
    ],
)
def test_the_interval_of_a_rate_is_that_of_clopper_and_pearson(
    events: int, trials: int, low: float, high: float
) -> None:
    assert Rate(events, trials).interval == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_a_rate_is_printed_with_its_interval_and_counts() -> None:
    assert str(Rate.of([True, False, False, False])) == "25.0 % [0.6, 80.6] (1 of 4)"
    assert str(Rate.of([])) == "none"


def test_the_variance_of_seeds_is_what_users_leave_of_the_variance_of_gains() -> None:
    random = np.random.default_rng(1)
    gains = random.normal(0, 0.003, 4000) + random.normal(0, 0.004, 4000)  # of seeds, of users

    std, error = seed_std(gains.tolist(), [0.004] * 4000)

    assert std == pytest.approx(0.003, abs=3 * error)
    assert error < 0.0002


def test_gains_that_vary_less_than_users_leave_no_variance_of_seeds() -> None:
    assert seed_std([0.001, -0.001], [0.004, 0.004])[0] == 0.0
