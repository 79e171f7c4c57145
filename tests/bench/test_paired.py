"""Differences over seeds, against numbers worked out by hand and against scipy's paired t test."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.paired import Difference, paired_difference

AUC = st.floats(0.5, 1.0)


def test_a_difference_is_taken_seed_by_seed_over_seeds_that_both_have() -> None:
    ours = {1: 0.92, 2: 0.94, 3: 0.96, 9: 0.10}
    theirs = {3: 0.93, 2: 0.92, 1: 0.91, 8: 0.99}  # differences .01, .02, .03

    found = paired_difference(ours, theirs)

    half = 4.302653 * 0.01 / math.sqrt(3)  # the t table at 2 degrees of freedom, 97.5 %
    assert found.mean == pytest.approx(0.02)
    assert (found.low, found.high) == (pytest.approx(0.02 - half), pytest.approx(0.02 + half))


@given(st.lists(st.tuples(AUC, AUC), min_size=2, max_size=12))
def test_the_interval_leaves_out_0_exactly_where_a_paired_t_test_rejects(
    pairs: list[tuple[float, float]],
) -> None:
    ours, theirs = np.array(pairs).T
    if np.std(ours - theirs) < 1e-6:
        return  # the test of constant differences is not defined
    found = paired_difference(dict(enumerate(ours)), dict(enumerate(theirs)))

    p = stats.ttest_rel(ours, theirs).pvalue

    if abs(p - 0.05) > 1e-6:
        assert (found.low > 0 or found.high < 0) == (p < 0.05)


def test_one_seed_gives_a_mean_and_ranks_nothing() -> None:
    one = paired_difference({1: 0.95}, {1: 0.94})

    assert str(one) == "+.01000"
    assert not one.is_above(Difference(-0.5, -0.5, -0.5))


def test_no_seed_in_common_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no seed in common: \[1\] and \[2\]"):
        paired_difference({1: 0.95}, {2: 0.94})


def test_is_above_only_where_intervals_do_not_overlap() -> None:
    high, middle, low = Difference(3, 2, 4), Difference(2, 1, 2), Difference(0, -1, 0.5)

    assert high.is_above(low)
    assert middle.is_above(low)
    assert not high.is_above(middle)
    assert not low.is_above(high)


def test_a_difference_is_printed_without_zeros_before_the_point() -> None:
    assert str(Difference(0.0004, -0.0001, 0.0009)) == "+.00040 [-.00010, +.00090]"
