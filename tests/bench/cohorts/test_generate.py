"""The generated log has the truth that it says it has."""

import numpy as np
import pytest

from bench.cohorts.generate import (
    BEHAVIOURS,
    COHORTS,
    FIRST_PAST,
    MOST_PAST,
    Log,
    cohort_of,
    to_log,
    to_world,
)
from bench.cohorts.hashing import normals, uniforms

SHARES = {"new": 0.2, "low": 0.3, "high": 0.5}


@pytest.fixture(scope="module")
def log() -> Log:
    return to_log(to_world(seed=3, difference=0.5), 4000, SHARES, 8)


def test_numbers_are_a_hash_of_seed_stream_and_row_whatever_the_order() -> None:
    rows = np.arange(1000)

    some = uniforms(7, "clicks", rows[::-3], 4)

    assert np.array_equal(some, uniforms(7, "clicks", rows, 4)[::-3])
    assert not np.isin(some, uniforms(7, "likes", rows, 4)).any()
    assert not np.isin(some, uniforms(8, "clicks", rows, 4)).any()


def test_numbers_have_the_distribution_that_they_should() -> None:
    values = normals(1, "x", np.arange(50_000), 2)

    assert values.mean(0) == pytest.approx([0, 0], abs=0.02)
    assert np.cov(values.T) == pytest.approx(np.eye(2), abs=0.02)


@pytest.mark.parametrize("difference", [0.0, 0.5, 1.0])
def test_directions_have_the_cosines_that_were_asked_for(difference: float) -> None:
    alike = to_world(5, 0.0, cosine=0.3).directions[:, 0]
    own = to_world(5, difference, cosine=0.3).directions

    assert alike @ alike.T == pytest.approx(np.where(np.eye(len(BEHAVIOURS)), 1, 0.3))
    assert np.linalg.norm(own, axis=-1) == pytest.approx(np.ones(own.shape[:2]))
    assert np.einsum("kcd,kd->kc", own, alike) == pytest.approx(
        np.full(own.shape[:2], np.sqrt(1 - difference**2))
    )


def test_events_happen_as_often_as_their_probabilities_say(log: Log) -> None:
    examples = log.examples
    truth = examples.probabilities.reshape(-1, len(BEHAVIOURS))
    labels = examples.labels.reshape(truth.shape)

    for k in range(len(BEHAVIOURS)):
        parts = np.array_split(np.argsort(truth[:, k]), 5)
        observed, expected = ([v[part, k].mean() for part in parts] for v in (labels, truth))
        assert observed == pytest.approx(expected, abs=0.025)


def test_a_like_follows_a_long_view_which_is_more_than_half_of_the_duration(log: Log) -> None:
    _, long_view, like = np.moveaxis(log.examples.labels, -1, 0)
    share = log.examples.play_seconds / log.world.duration_seconds[log.examples.item]

    assert like.sum() > 0
    assert (long_view >= like).all()
    assert np.array_equal(long_view == 1, share > 0.5)


def test_cohorts_are_what_past_events_make_them_in_the_shares_asked_for(log: Log) -> None:
    assert np.array_equal(log.cohort, cohort_of(log.past_count))
    assert np.bincount(log.cohort) / len(log.cohort) == pytest.approx(list(SHARES.values()), abs=0.03)
    for place, name in enumerate(COHORTS):
        own = log.past_count[log.cohort == place]
        assert (own.min(), own.max()) == (FIRST_PAST[name], MOST_PAST[name])
    assert np.array_equal(log.past.happened.sum(1), log.past_count)
    assert log.past.labels[~log.past.happened].sum() == 0


def test_other_users_are_other_rows_of_the_same_world() -> None:
    world = to_world(seed=3, difference=0.5)

    both, later = to_log(world, 20, SHARES, 2), to_log(world, 10, SHARES, 2, first_user=10)

    assert np.array_equal(both.examples.labels[10:], later.examples.labels)
    assert np.array_equal(both.attributes[10:], later.attributes)
