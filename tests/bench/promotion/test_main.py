"""Pairs of trainings are independent of each other."""

from itertools import chain

import pytest

from bench.promotion.__main__ import BETTER, SAME, Pair


@pytest.mark.parametrize("pairs", [SAME, BETTER])
def test_no_training_is_in_two_pairs(pairs: list[Pair]) -> None:
    trainings = list(chain.from_iterable(pairs))

    assert len(set(trainings)) == len(trainings)
    assert len(pairs) >= 40


def test_pairs_of_the_same_data_differ_in_the_seed_alone() -> None:
    assert all(ours[0] == theirs[0] and ours[1] != theirs[1] for ours, theirs in SAME)
