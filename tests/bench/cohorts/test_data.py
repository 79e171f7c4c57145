"""Rows of a test bed: sample spaces, ids, shares of new users, and what users of one id have in common."""

from dataclasses import replace

import numpy as np
import pytest

from bench.cohorts.data import EXAMPLES, TestBed, to_test_bed
from bench.cohorts.measures import auc_by_cell
from bench.cohorts.worlds import BASE, ONE_DIAL, World
from jobs.workers.synthetic.dials import COHORTS
from models.training.reader import Rows

IDS, RARE, SIX, MANY_NEW = (
    next(world for world in ONE_DIAL if world.name == name)
    for name in ("ids", "rare likes after long views", "six behaviours", "20 % new users")
)


def small(world: World, rows: int = 4_000, seed: int = 1) -> TestBed:
    return to_test_bed(world, rows, seed, validation_users=60, test_users=150)


def places(bed: TestBed) -> dict[str, int]:
    return {task.name: k for k, task in enumerate(bed.data.tasks)}


def parts(bed: TestBed) -> tuple[Rows, Rows, Rows]:
    return bed.data.train, bed.data.validation, bed.test


def test_a_like_is_in_the_sample_space_exactly_after_a_long_view() -> None:
    bed = small(RARE)
    of = places(bed)

    for rows in parts(bed):
        like, long_view = of["like"], of["long_view"]
        assert np.array_equal(rows.mask[:, like], rows.labels[:, long_view] == 1)
        assert rows.mask[:, [of["click"], long_view]].all()
        assert 0 < rows.labels[rows.mask[:, like], like].mean() < 0.2
        assert rows.labels[~rows.mask[:, like], like].sum() == 0


def test_without_sample_spaces_all_rows_count() -> None:
    for rows in parts(small(SIX)):
        assert rows.mask.all()
        assert rows.mask.shape[1] == 6


def test_ceilings_of_a_sample_space_are_given_that_a_row_lies_in_it() -> None:
    bed = small(RARE)
    of, ceilings = places(bed), bed.ceilings()
    true = bed.test_log.examples.probabilities.reshape(len(bed.test), -1)

    given = true[:, of["like"]] / true[:, of["long_view"]]
    assert ceilings["true"][:, of["like"]] == pytest.approx(given)
    own = bed.test.mask[:, of["like"]]
    for name in ("true", "expected"):
        rate = ceilings[name][own, of["like"]].mean()
        assert rate == pytest.approx(bed.test.labels[own, of["like"]].mean(), abs=0.04)
    assert ceilings["true"][:, of["click"]] == pytest.approx(true[:, of["click"]])


def test_test_rows_and_the_first_training_rows_are_the_same_for_every_number_of_rows() -> None:
    few, many = (small(BASE, rows) for rows in (2_000, 4_000))

    first = few.data.train
    assert np.array_equal(many.data.train.labels[: len(first)], first.labels)
    assert np.array_equal(many.test.labels, few.test.labels)
    assert np.array_equal(many.test.dense, few.test.dense)


@pytest.mark.parametrize("world", [BASE, MANY_NEW])
def test_new_users_have_their_share_of_training_and_a_third_of_test(world: World) -> None:
    bed = small(world, 16_000)

    assert (bed.data.train.user_group == 0).mean() == pytest.approx(world.share_of_new, abs=0.02)
    assert np.bincount(bed.test.user_group) / len(bed.test) == pytest.approx(1 / 3, abs=0.12)


def test_returning_users_have_the_id_of_training_and_other_examples_and_new_ones_none() -> None:
    bed = small(IDS)
    column = [each.column for each in bed.data.encoder.categorical].index("user_id")
    train, test = bed.data.train, bed.test
    own = test.categorical[:, column]

    assert (own[test.user_group == COHORTS.index("new")] == 0).all()
    assert (own[test.user_group != COHORTS.index("new")] > 0).all()
    attributes = [
        place for place, each in enumerate(bed.data.encoder.dense) if "user_attribute" in each.column
    ]
    items = 0
    for user in np.unique(own[own > 0])[:20]:
        of_train, of_test = train.categorical[:, column] == user, own == user
        assert of_train.sum() == of_test.sum() == EXAMPLES
        one, other = train.dense[of_train][0, attributes], test.dense[of_test][0, attributes]
        assert np.array_equal(one, other)  # the same user
        items += len(np.intersect1d(train.categorical[of_train, 0], test.categorical[of_test, 0]))
    assert items < 5  # of 160, among 20,000 items


def test_what_training_knows_of_returning_users_brings_their_ceiling_closer_to_the_truth() -> None:
    bed = small(IDS)
    with_examples, without = (each.ceilings() for each in (bed, replace(bed, also_known=None)))

    returns = bed.test.user_group != COHORTS.index("new")
    errors = [np.abs(found["expected"] - found["true"]) for found in (with_examples, without)]
    assert errors[0][returns].mean() < 0.97 * errors[1][returns].mean()
    assert errors[0][~returns] == pytest.approx(errors[1][~returns], abs=0.02)  # particles differ


def test_too_few_training_users_to_return_is_said() -> None:
    with pytest.raises(ValueError, match="training users of cohort"):
        to_test_bed(IDS, 400, 1, validation_users=60, test_users=300)


def test_the_second_ceiling_lies_between_chance_and_the_truth() -> None:
    bed = to_test_bed(BASE, 800, 1, validation_users=20, test_users=600)
    ceilings = bed.ceilings()

    true, expected = (auc_by_cell(ceilings[name], bed.test, bed.data.tasks) for name in ("true", "expected"))
    for cohort in COHORTS:
        for task in ("click", "long_view"):
            assert 0.6 < expected[cohort][task] < true[cohort][task]


def test_auc_of_a_behaviour_is_over_its_sample_space_alone() -> None:
    bed = small(RARE, seed=2)
    scores = np.where(bed.test.mask, bed.test.labels, 5.0)  # right inside, and outside above all

    found = auc_by_cell(scores, bed.test, bed.data.tasks)
    everywhere = replace(bed.test, mask=np.ones_like(bed.test.mask))

    assert {auc for by_task in found.values() for auc in by_task.values()} == {1.0}
    assert auc_by_cell(scores, everywhere, bed.data.tasks)["low"]["like"] < 0.6
