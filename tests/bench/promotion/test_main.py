"""Pairs of trainings are independent of each other, and what is in the results is not done again."""

from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from bench.promotion import __main__ as bench
from bench.promotion.__main__ import BETTER, SAME, Pair
from bench.promotion.rules import cells_with
from bench.results import Results
from quality.gains import Measured, cell_gain


@pytest.mark.parametrize("pairs", [SAME, BETTER])
def test_no_training_is_in_two_pairs(pairs: list[Pair]) -> None:
    trainings = list(chain.from_iterable(pairs))

    assert len(set(trainings)) == len(trainings)
    assert len(pairs) >= 40


def test_pairs_of_the_same_data_differ_in_the_seed_alone() -> None:
    assert all(ours[0] == theirs[0] and ours[1] != theirs[1] for ours, theirs in SAME)


def test_a_second_run_finds_the_simulated_logs_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = Results("promotion")
    results.path = tmp_path / "promotion.jsonl"
    one = {"without a gain": (0.0, 500, 1.0, 1, 2), "with one": (bench.TRUE_GAIN, 500, 1.0, 1, 2)}
    changes = {"RESULTS": results, "SAME": [], "BETTER": [], "SIMULATED": one}
    for name, value in changes.items():
        monkeypatch.setattr(bench, name, value)

    bench.run()
    bench.run()

    assert len(results.all()) == 2  # one batch without a gain, one with
    assert [len(bench.simulated_outcomes(gain, 500, 1.0)) for gain in (0.0, bench.TRUE_GAIN)] == [2, 2]


def test_a_measured_pair_is_decided_from_the_gains_of_its_cells() -> None:
    gains = {"click of user:new": [0.02, 0.001], "like of user:new": [-0.03, 0.01]}

    (click, like) = cells_with(gains)

    assert (click.task, click.cohort, like.task) == ("click", "user:new", "like")
    assert click.champion is not None
    found = cell_gain("auc", like.candidate, Measured(0.7, np.full(400, 0.7)))
    assert found is not None
    assert (found.value, found.variance**0.5) == (pytest.approx(-0.03), pytest.approx(0.01))
