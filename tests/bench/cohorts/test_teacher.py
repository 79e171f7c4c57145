"""Labels by a teacher: of its rates, on the very inputs of its world, learnable by its students."""

import numpy as np
import pytest
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

from bench.cohorts.architectures import VARIANTS, matched_width
from bench.cohorts.data import TestBed, to_test_bed
from bench.cohorts.measures import auc_by_cell
from bench.cohorts.teacher import PARAMETERS, TaughtBed, taught, to_teacher
from bench.cohorts.worlds import CONTROLS
from bench.fit import predict, trunk_parameters

NAMES = [str(world.teacher) for world in CONTROLS]


@pytest.fixture(scope="module")
def bed() -> TestBed:
    return to_test_bed(CONTROLS[0], 24_000, 3, validation_users=100, test_users=900)


@pytest.fixture(scope="module", params=NAMES)
def lesson(request: pytest.FixtureRequest, bed: TestBed) -> TaughtBed:
    return taught(request.param, bed, 3)


def test_labels_have_the_rates_that_the_teacher_says(lesson: TaughtBed) -> None:
    p, labels = lesson.probabilities, lesson.bed.test.labels

    assert labels.mean(0) == pytest.approx(p.mean(0), abs=0.02)
    for k in range(p.shape[1]):
        fifths = np.array_split(np.argsort(p[:, k]), 5)
        assert [labels[own, k].mean() for own in fifths] == pytest.approx(
            [p[own, k].mean() for own in fifths], abs=0.05
        )


def test_logits_have_mean_and_spread_of_the_second_ceiling(bed: TestBed, lesson: TaughtBed) -> None:
    wanted, found = logit(bed.ceilings()["expected"]), logit(lesson.probabilities)

    assert found.mean(0) == pytest.approx(wanted.mean(0), abs=1e-3)
    assert found.std(0) == pytest.approx(wanted.std(0), rel=1e-3)


def test_inputs_are_those_of_the_truth_and_labels_are_not(bed: TestBed, lesson: TaughtBed) -> None:
    pairs = [
        (bed.data.train, lesson.bed.data.train),
        (bed.data.validation, lesson.bed.data.validation),
        (bed.test, lesson.bed.test),
    ]
    for before, after in pairs:
        for name in ("categorical", "dense", "user_group", "item_group", "weight"):
            assert np.array_equal(getattr(before, name), getattr(after, name))
        assert after.labels.shape == before.labels.shape
        assert 0.2 < (after.labels != before.labels).mean() < 0.6
        assert after.mask.all()
    assert lesson.bed.data.encoder is bed.data.encoder


def test_a_teacher_is_its_own_architecture_a_third_of_a_students_size(bed: TestBed) -> None:
    for name in NAMES:
        teacher, data = to_teacher(name, bed, 3), bed.data
        _, parameters = matched_width(VARIANTS[name], data.encoder, data.tasks, data.cohorts, PARAMETERS)
        assert trunk_parameters(teacher) == parameters == pytest.approx(PARAMETERS, rel=0.1)
        assert not np.array_equal(predict(teacher, bed.test), predict(to_teacher(name, bed, 4), bed.test))
        assert np.array_equal(predict(teacher, bed.test), predict(to_teacher(name, bed, 3), bed.test))


def test_its_probabilities_are_both_ceilings_and_no_line_in_the_inputs_reaches_them(
    lesson: TaughtBed,
) -> None:
    ceilings = lesson.ceilings()
    assert all(np.array_equal(p, lesson.probabilities) for p in ceilings.values())
    data, test = lesson.bed.data, lesson.bed.test

    scores = np.stack(
        [
            LogisticRegression(max_iter=500)
            .fit(standard(data.train.dense, data.train.dense), data.train.labels[:, k])
            .decision_function(standard(test.dense, data.train.dense))
            for k in range(test.labels.shape[1])
        ],
        axis=1,
    )

    top, line = (auc_by_cell(each, test, data.tasks) for each in (ceilings["expected"], scores))
    for cohort in top:
        gap = np.mean([top[cohort][task] - line[cohort][task] for task in top[cohort]])
        assert gap > 0.01  # a world that a line solves would tell no architecture from another


def standard(values: np.ndarray, train: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = (values - train.mean(0)) / train.std(0)
    return scaled
