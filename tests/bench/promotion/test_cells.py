"""Cells of the bench are those of `CellState`."""

import numpy as np
import pytest

from bench.promotion.cells import rank_auc
from models.metrics.binary import CellState
from models.metrics.bootstrap import user_weights


@pytest.mark.parametrize("decimals", [9, 0])  # 0: many ties
def test_auc_and_its_replicates_are_those_of_the_platforms_states(decimals: int) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(-1, 2, 3000).round(decimals)
    users = random.integers(0, 700, 3000)
    labels = random.random(3000) < 1 / (1 + np.exp(-logits))
    weights = user_weights(users, 20)
    state = CellState.of(logits, labels, np.ones(3000), weights)

    found = rank_auc(logits, labels, weights)

    assert found[0] == pytest.approx(state.value("auc"), abs=1e-4)
    np.testing.assert_allclose(found[1:], state.replicate_values("auc"), atol=1e-4)
