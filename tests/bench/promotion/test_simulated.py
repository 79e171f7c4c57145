"""Simulated logs: the true gain is what was asked for."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bench.promotion.simulated import BASE, FEATURES, STRENGTH, TASKS, draw_log, missing_for, pair, true_auc


def test_a_model_that_lacks_the_share_is_worse_by_the_true_gain() -> None:
    log = draw_log(np.random.default_rng(3), users=100_000)
    weights = np.ones((FEATURES, len(TASKS)))
    full = log.features @ weights
    weights[-1] -= missing_for(0.005)
    less = log.features @ weights

    for k, task in enumerate(TASKS[:2]):  # of likes there are too few
        labels = log.sample.labels[:, k]
        gain = roc_auc_score(labels, full[:, k]) - roc_auc_score(labels, less[:, k])
        assert gain == pytest.approx(0.005, abs=0.0006), task


def test_the_integrated_auc_is_that_of_many_rows() -> None:
    log = draw_log(np.random.default_rng(4), users=100_000)

    found = roc_auc_score(log.sample.labels[:, 0], log.features.sum(axis=1))

    assert true_auc(BASE[0], STRENGTH[0], 0.0) == pytest.approx(found, abs=0.003)


def test_a_pair_is_drawn_again_by_its_number() -> None:
    one, again, other = ([cell.candidate.value for cell in pair(number, 0.0)] for number in (1, 1, 2))

    assert one == again
    assert one != other


def test_users_of_a_cell_are_counted_by_class() -> None:
    for cell in pair(1, 0.0):
        assert cell.users_by_class is not None
        positive, negative = cell.users_by_class
        assert max(positive, negative) <= cell.users <= positive + negative
