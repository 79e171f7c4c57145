"""Intervals over worlds and seeds: of simulated studies they hold as often as they say."""

import numpy as np
import pytest

from bench.cohorts.intervals import compare, seed_effect
from jobs.workers.synthetic.hashing import Floats

SEEDS = (10, 5, 5, 5, 5, 5, 5, 5, 5)  # of each world, as in the plan


def study(
    random: np.random.Generator, comparisons: int, of_worlds: float, of_seeds: float, mean: float = 0.0
) -> list[Floats]:
    """Draw differences of each world, (seeds, F)."""
    return [
        mean
        + of_worlds * random.standard_normal(comparisons)
        + of_seeds * random.standard_normal((n, comparisons))
        for n in SEEDS
    ]


@pytest.mark.parametrize(("of_worlds", "of_seeds"), [(1.0, 0.2), (0.5, 1.0), (0.0, 1.0)])
def test_an_interval_covers_the_mean_over_all_worlds_in_19_of_20_studies(
    of_worlds: float, of_seeds: float
) -> None:
    random, studies = np.random.default_rng(0), 400

    found = [
        compare(study(random, 1, of_worlds, of_seeds, mean=3.0), replicates=400)[0].alone
        for _ in range(studies)
    ]

    covered = sum(interval.low <= 3.0 <= interval.high for interval in found) / studies
    assert covered == pytest.approx(0.95, abs=0.033)  # three standard errors of 400 studies


def test_where_nothing_differs_one_study_in_20_finds_something() -> None:
    random, studies = np.random.default_rng(1), 400

    found = [compare(study(random, 8, 0.5, 1.0), replicates=400) for _ in range(studies)]

    wrong = [any(one.together.low > 0 or one.together.high < 0 for one in family) for family in found]
    alone = [any(one.alone.low > 0 or one.alone.high < 0 for one in family) for family in found]
    assert np.mean(wrong) == pytest.approx(0.05, abs=0.033)
    assert np.mean(alone) > 0.2  # what eight intervals of 95 % each do
    by_p = np.array([min(one.p for one in family) <= 0.05 for family in found])
    assert (by_p != wrong).mean() < 0.01  # one replicate apart


def test_a_planted_difference_is_found_among_others_that_are_none() -> None:
    differences = study(np.random.default_rng(2), 6, 0.3, 1.0)
    for of_world in differences:
        of_world[:, 2] += 2.0

    found = compare(differences)

    assert [one.p < 0.05 for one in found] == [False, False, True, False, False, False]
    planted = found[2]
    assert planted.together.low > 0
    assert planted.together.low < planted.alone.low
    assert planted.together.high > planted.alone.high
    assert planted.closer > 45
    assert planted.pairs == sum(SEEDS)


def test_a_variant_that_fails_in_one_world_leaves_the_intervals_of_others_alone() -> None:
    differences = study(np.random.default_rng(5), 6, 0.3, 1.0, mean=2.0)
    alike = compare(differences)
    differences[3][:, 0] -= 50.0

    found = compare(differences)

    widths = [(one.together.high - one.together.low) for one in found]
    before = [(one.together.high - one.together.low) for one in alike]
    assert widths[0] > 5 * before[0]
    assert widths[1:] == pytest.approx(before[1:], rel=0.1)


def test_worlds_count_equally_however_many_seeds_they_have() -> None:
    differences = [np.full((10, 1), 4.0), np.full((5, 1), 1.0), np.full((5, 1), 1.0)]

    (found,) = compare(differences)

    assert found.alone.mean == pytest.approx(2.0)
    assert found.closer == found.pairs == 20


def test_seeds_within_a_world_are_drawn_and_not_the_worlds_alone() -> None:
    """Worlds of equal means have no spread of their own: what is uncertain then are seeds."""
    differences = [np.array([[0.0], [1.0], [2.0]]) for _ in range(5)]

    (found,) = compare(differences)

    assert found.alone.mean == pytest.approx(1.0)
    assert found.alone.low == found.alone.high == pytest.approx(1.0)  # the standard error is that of worlds
    (wider,) = compare([d + 0.1 * w for w, d in enumerate(differences)])
    assert wider.alone.high - wider.alone.low > 0.1


def test_two_worlds_are_too_few() -> None:
    with pytest.raises(ValueError, match="2 worlds; expected at least 3"):
        compare([np.ones((5, 2))] * 2)


def test_an_effect_of_seeds_in_all_worlds_alike_is_seen() -> None:
    random = np.random.default_rng(3)
    own, common = random.standard_normal((9, 5)), random.standard_normal(5)

    null = [seed_effect(random.standard_normal((9, 5))) for _ in range(300)]

    assert np.mean(null) == pytest.approx(32 / 30, abs=0.15)  # the mean of F with 4 and 32 degrees of freedom
    assert seed_effect(own + 3 * common) > 5
    assert np.isnan(seed_effect(own[:, :1]))
