"""The second ceiling: expected probabilities given what can be known."""

import numpy as np
import pytest

from bench.cohorts.ceiling import expected_probabilities
from bench.cohorts.generate import Log, to_log, to_users, to_world
from jobs.workers.synthetic.dials import KNOWN, LATENT, Dials
from jobs.workers.synthetic.hashing import Floats, Ints
from jobs.workers.synthetic.truth import SLOPE, World

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


@pytest.mark.parametrize(
    "dials",
    [
        Dials(),
        Dials(0.8, 0.5, base_spread=0.6, separation=0.5, behaviours=6),
        Dials(rarity=2.0, explained=0.3),
    ],
)
def test_it_is_what_many_draws_of_the_unseen_part_say_weighted_by_the_past(dials: Dials) -> None:
    """Prior sampling with all formulas written out, of four users with 4 to 9 events."""
    shares = {"new": 0.0, "low": 1.0, "high": 0.0}
    log = to_log(to_world(2, dials), to_users(2, np.arange(4), shares), 2)
    hidden = np.random.default_rng(0).standard_normal((400_000, LATENT))
    r, found = dials.explained, expected_probabilities(log).all

    for user in range(4):
        z = np.sqrt(r) * log.attributes[user] + np.sqrt(1 - r) * hidden
        weight = np.ones(len(z))
        for event in range(log.past_count[user]):
            known = log.past.labels[user, event]
            p = given_what_is_before(log.world, z, log.past.item[user, event], log.past.cohort[user, event])
            for k, behaviour in enumerate(log.world.behaviours):
                if behaviour.after is None or known[behaviour.after]:
                    weight *= p[k] if known[k] else 1 - p[k]
        assert weight.sum() ** 2 / np.square(weight).sum() > 1_000  # of the draws count
        for example in range(2):
            item, cohort = log.examples.item[user, example], log.examples.cohort[user, example]
            p = given_what_is_before(log.world, z, item, cohort)
            for k, behaviour in enumerate(log.world.behaviours):
                happens = p[k] if behaviour.after is None else p[k] * p[behaviour.after]
                mean = np.average(happens, weights=weight)
                assert found[user, example, k] == pytest.approx(mean, abs=0.01)


def given_what_is_before(world: World, users: Floats, item: Ints, cohort: Ints) -> list[Floats]:
    """Return each behaviour's probability given that what it follows happened, for users z, (M, D)."""
    found = []
    for k in range(len(world.behaviours)):
        seen = world.items[item] if world.views is None else world.views[cohort, item, k]
        h = (users + seen + users * seen) / np.sqrt(3)
        interest = world.bases[k, cohort] + SLOPE * h @ world.directions[k, cohort]
        found.append(1 / (1 + np.exp(-interest)))
    return found
