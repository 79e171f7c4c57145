"""The generated log has the truth that it says it has."""

import numpy as np
import pytest

from bench.cohorts.generate import MOST_PAST, Log, to_log, to_users, to_world
from jobs.workers.synthetic.dials import Dials
from jobs.workers.synthetic.truth import BEHAVIOURS, COHORTS, FIRST_PAST, cohort_of

SHARES = {"new": 0.2, "low": 0.3, "high": 0.5}


@pytest.fixture(scope="module")
def log() -> Log:
    return to_log(to_world(3, Dials()), to_users(3, np.arange(4000), SHARES), 8)


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
    world = to_world(3, Dials())

    both, later = (to_log(world, to_users(3, ids, SHARES), 2) for ids in (np.arange(20), np.arange(10, 20)))

    assert np.array_equal(both.examples.labels[10:], later.examples.labels)
    assert np.array_equal(both.attributes[10:], later.attributes)
