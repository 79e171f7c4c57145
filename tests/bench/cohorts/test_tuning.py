"""Rates and decays that are found have none better beside them among what was tried."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cohorts.tuning import EMBEDDING_DECAYS, Tuned, best_of_neighbours
from core.errors import LamplighterError

START = Tuned(0.02, 1e-5, math.nan, 1e-4)


class Trainings:
    """Loss: the squared distance of both logarithms from those of the best, which may lean on each other."""

    def __init__(self, rate: float, decay: float, lean: float = 0.0) -> None:
        self.rate, self.decay, self.lean = rate, decay, lean
        self.done: list[tuple[float, float]] = []

    def __call__(self, rate: float, weight_decay: float, embedding_decay: float | None) -> Tuned:
        assert embedding_decay is not None
        self.done.append((rate, embedding_decay))
        x, y = math.log2(rate / self.rate), 2 * math.log10(embedding_decay / self.decay)
        return Tuned(rate, weight_decay, x * x + y * y + 2 * self.lean * x * y, embedding_decay)


@given(st.floats(1e-3, 0.2), st.floats(1e-5, 1e-3), st.floats(-0.9, 0.9))
def test_no_neighbour_is_better_than_what_is_found(rate: float, decay: float, lean: float) -> None:
    attempt = Trainings(rate, decay, lean)

    found = best_of_neighbours("x", START, attempt)

    place = EMBEDDING_DECAYS.index(found.embedding_decay or 0.0)
    own = (found.learning_rate, EMBEDDING_DECAYS[place])
    neighbours = [(own[0] / 2, own[1]), (own[0] * 2, own[1])]
    neighbours += [(own[0], EMBEDDING_DECAYS[place - 1]), (own[0], EMBEDDING_DECAYS[place + 1])]
    neighbours += [(own[0] / 2, EMBEDDING_DECAYS[place + 1]), (own[0] * 2, EMBEDDING_DECAYS[place - 1])]
    assert {own, *neighbours} <= {*attempt.done}
    oracle = Trainings(rate, decay, lean)
    assert found.validation_loss <= min(oracle(at[0], 1e-5, at[1]).validation_loss for at in neighbours)
    assert found.weight_decay == START.weight_decay
    assert len(attempt.done) == len({*attempt.done})  # nothing is trained twice


def test_where_the_best_is_the_start_seven_trainings_are_enough() -> None:
    attempt = Trainings(0.02, 1e-4)

    found = best_of_neighbours("x", START, attempt)

    assert (found.learning_rate, found.embedding_decay) == (0.02, 1e-4)
    beside = [(0.01, 1e-4), (0.04, 1e-4), (0.02, 3e-5), (0.02, 3e-4)]
    assert attempt.done == [(0.02, 1e-4), *beside, (0.01, 3e-4), (0.04, 3e-5)]


def test_a_valley_that_runs_from_high_rates_to_high_decays_is_followed_to_its_lowest_place() -> None:
    attempt = Trainings(0.0025, 3e-3, lean=0.99)

    found = best_of_neighbours("x", START, attempt)

    assert (found.learning_rate, found.embedding_decay) == (0.0025, 3e-3)


@pytest.mark.parametrize(("rate", "decay"), [(50.0, 1e-4), (1e-9, 1e-4), (0.02, 1e-9), (0.02, 10.0)])
def test_a_best_outside_of_all_limits_is_an_error(rate: float, decay: float) -> None:
    with pytest.raises(LamplighterError, match=r"x: no best learning rate in .* look at its trainings"):
        best_of_neighbours("x", START, Trainings(rate, decay))
