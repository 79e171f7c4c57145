"""The second ceiling: expected probabilities given what can be known."""

import numpy as np
import pytest

from bench.cohorts.ceiling import expected_probabilities
from bench.cohorts.generate import Log, to_log, to_users, to_world
from jobs.workers.synthetic.dials import KNOWN, LATENT, Dials
from jobs.workers.synthetic.truth import SLOPE

NEW, HIGH = {"new": 1.0, "low": 0.0, "high": 0.0}, {"new": 0.0, "low": 0.0, "high": 1.0}


def log_of(shares: dict[str, float], explained: float = 0.5) -> Log:
    return to_log(to_world(2, Dials(explained=explained)), to_users(2, np.arange(300), shares), 4)


def test_where_attributes_tell_everything_it_is_the_truth() -> None:
    log = log_of(HIGH, explained=1.0)

    assert expected_probabilities(log).all == pytest.approx(log.examples.probabilities, abs=1e-4)


def test_without_a_past_it_is_the_mean_over_what_attributes_leave_open() -> None:
    log = log_of(NEW)
    without_past = np.flatnonzero(log.past_count == 0)[:20]
    hidden = np.random.default_rng(0).standard_normal((200_000, LATENT))
    world, found = log.world, expected_probabilities(log).all

    for user in without_past:
        item, cohort = log.examples.item[user, 0], log.examples.cohort[user, 0]
        z_user = np.sqrt(0.5) * log.attributes[user] + np.sqrt(0.5) * hidden
        h = (z_user + world.items[item] + z_user * world.items[item]) / np.sqrt(3)
        click = 1 / (1 + np.exp(-(KNOWN[0].base + SLOPE * h @ world.directions[0, cohort])))
        assert found[user, 0, 0] == pytest.approx(click.mean(), abs=0.02)


def test_it_is_calibrated_and_a_past_brings_it_closer_to_the_truth() -> None:
    errors = {}
    for name, log in (("new", log_of(NEW)), ("high", log_of(HIGH))):
        found, truth = expected_probabilities(log).all, log.examples.probabilities
        errors[name] = np.abs(found - truth)[..., :2].mean()
        assert found.mean((0, 1)) == pytest.approx(log.examples.labels.mean((0, 1)), abs=0.03)

    assert errors["high"] < 0.75 * errors["new"]


def test_halves_of_the_particles_add_up_to_all_of_them_where_nothing_is_known() -> None:
    log = log_of(NEW)
    without_past = log.past_count == 0
    found = expected_probabilities(log)

    halves = (found.halves[0] + found.halves[1]) / 2

    assert halves[without_past] == pytest.approx(found.all[without_past], abs=1e-5)
