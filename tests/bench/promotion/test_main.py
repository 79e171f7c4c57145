"""Pairs of trainings are independent of each other, and what is in the results is not done again."""

from itertools import chain
from pathlib import Path

import pytest

from bench.promotion import __main__ as bench
from bench.promotion.__main__ import BETTER, SAME, Pair
from bench.results import Results


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
    changes = {"RESULTS": results, "SAME": [], "BETTER": [], "BATCHES": 1, "LOGS": 1}
    for name, value in changes.items():
        monkeypatch.setattr(bench, name, value)

    bench.run()
    bench.run()

    assert len(results.all()) == 2  # one batch without a gain, one with
    assert [len(bench.outcomes("simulated", gain)) for gain in (0.0, bench.TRUE_GAIN)] == [1, 1]
