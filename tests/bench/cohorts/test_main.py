"""Distances of one seed are one number, however many shares of new users it has."""

from bench.cohorts.__main__ import Key, mean_distances
from bench.cohorts.generate import COHORTS


def done(share: float, seed: int, distance: float) -> dict[str, Key]:
    """A ceiling of .8 everywhere, and a model that is so much below."""
    auc = {"expected": {cohort: {"click": 0.8} for cohort in COHORTS}}
    of_model = {cohort: {"click": 0.8 - distance} for cohort in COHORTS}
    return {
        f"ceiling None 0.5 {share} {seed}": {"auc": auc},
        f"final mfh 0.5 {share} {seed}": {"auc": of_model},
    }


def test_the_distance_of_a_seed_is_the_mean_over_its_shares() -> None:
    results = {
        **done(0.05, 1, 0.04),
        **done(0.2, 1, 0.02),
        **done(0.05, 2, 0.01),  # of seed 2 a share is missing
    }
    found = mean_distances("mfh", 0.5, (0.05, 0.2), results)
    assert list(found) == [1]
    assert {cohort: round(value, 6) for cohort, value in found[1].items()} == dict.fromkeys(COHORTS, 0.03)
