"""Intervals over users and seeds: of simulated studies they hold as often as they say."""

import numpy as np
import pytest

from bench.kuairand.crossed import compare_crossed
from jobs.workers.synthetic.hashing import Floats
from models.metrics.bootstrap import interval, user_weights

USERS, SEEDS, DRAWS = 250, 10, 200


def gains(
    random: np.random.Generator,
    of_users: float,
    of_seeds: float,
    of_both: float,
    comparisons: int = 1,
    number: int = SEEDS,
) -> Floats:
    """Draw gains of mean 0, (S, 1 + R, F): of users, of seeds, and of what they do together.

    Standard deviations are those of the mean over users or seeds.
    """
    users = of_users * np.sqrt(USERS) * random.standard_normal((1, USERS, comparisons))
    seeds = of_seeds * np.sqrt(number) * random.standard_normal((number, 1, comparisons))
    both = of_both * np.sqrt(USERS * number) * random.standard_normal((number, USERS, comparisons))
    drawn = user_weights(random.integers(2**62, size=USERS), DRAWS)
    weights = np.column_stack([np.ones(USERS), drawn])
    found: Floats = np.einsum("suf,ur->srf", users + seeds + both, weights / weights.sum(0))
    return found


@pytest.mark.parametrize(
    ("of_users", "of_seeds", "of_both"), [(1.0, 0.1, 0.3), (0.1, 1.0, 0.3), (1.0, 1.0, 0.0)]
)
def test_an_interval_covers_the_mean_over_users_and_seeds_in_19_of_20_studies(
    of_users: float, of_seeds: float, of_both: float
) -> None:
    random, studies = np.random.default_rng(0), 400

    found = [
        compare_crossed(gains(random, of_users, of_seeds, of_both), replicates=400)[0].alone
        for _ in range(studies)
    ]

    covered = sum(one.low <= 0 <= one.high for one in found) / studies
    assert covered == pytest.approx(0.95, abs=0.033)  # three standard errors of 400 studies


def test_what_user_and_seed_do_together_makes_intervals_wider_and_not_narrower() -> None:
    random, studies = np.random.default_rng(1), 400

    found = [compare_crossed(gains(random, 0.0, 0.0, 1.0), replicates=400)[0].alone for _ in range(studies)]

    assert sum(one.low <= 0 <= one.high for one in found) / studies > 0.95


def test_few_seeds_make_intervals_wider() -> None:
    """Of four seeds the normal quantile would cover 86 % of studies, and percentiles fewer."""
    random, studies = np.random.default_rng(6), 400

    found = [
        compare_crossed(gains(random, 0.1, 1.0, 0.0, number=4), replicates=400)[0].alone
        for _ in range(studies)
    ]

    assert sum(one.low <= 0 <= one.high for one in found) / studies > 0.92


def test_users_alone_would_not_cover_other_seeds() -> None:
    """The bootstrap of the first comparison, over users with the mean over seeds, where seeds differ."""
    random, studies = np.random.default_rng(2), 200

    found = [interval(gains(random, 0.3, 1.0, 0.0)[:, 1:, 0].mean(0)) for _ in range(studies)]

    assert sum(low <= 0 <= high for low, high in filter(None, found)) / studies < 0.6


def test_where_nothing_differs_one_study_in_20_finds_something() -> None:
    random, studies = np.random.default_rng(3), 300

    found = [compare_crossed(gains(random, 1.0, 0.7, 0.3, 8), replicates=400) for _ in range(studies)]

    wrong = [any(one.together.low > 0 or one.together.high < 0 for one in family) for family in found]
    alone = [any(one.alone.low > 0 or one.alone.high < 0 for one in family) for family in found]
    assert np.mean(wrong) == pytest.approx(0.05, abs=0.038)
    assert np.mean(alone) > 0.2  # what eight intervals of 95 % each do


def test_a_planted_difference_is_found_among_others_that_are_none() -> None:
    planted = gains(np.random.default_rng(5), 0.5, 0.5, 0.2, 6)
    planted[:, :, 2] += 5.0

    found = compare_crossed(planted)

    assert [one.p < 0.05 for one in found] == [False, False, True, False, False, False]
    assert found[2].together.low > 0
    assert found[2].together.low < found[2].alone.low
    assert found[2].closer == found[2].pairs == SEEDS
    assert found[2].alone.mean == pytest.approx(planted[:, 0, 2].mean())


@pytest.mark.parametrize("shape", [(1, 201, 3), (10, 2, 3), (10, 201, 0)])
def test_one_seed_or_nothing_to_compare_is_an_error(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=f"{shape[0]} seeds, {shape[1] - 1} draws of users"):
        compare_crossed(np.zeros(shape))
