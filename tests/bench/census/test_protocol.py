"""One architecture has three tuning trainings and ten finals, and resumes where it stopped."""

from pathlib import Path
from typing import Any

import pytest

from bench.census.protocol import train_missing
from bench.results import Results

KEY = {"peer": "torch-rechub", "architecture": "ple"}
AUCS = {0.00025: (0.90, 0.99), 0.0005: (0.94, 0.98), 0.001: (0.91, 0.98)}


class Recorder:
    def __init__(self, stops_after: int = 100) -> None:
        self.calls: list[tuple[float, int, bool]] = []
        self.stops_after = stops_after

    def __call__(self, rate: float, seed: int, is_final: bool) -> dict[str, Any]:
        if len(self.calls) == self.stops_after:
            raise KeyboardInterrupt
        self.calls.append((rate, seed, is_final))
        income, never_married = AUCS[rate]
        return {"validation_auc": {"income": income, "never_married": never_married}}


@pytest.fixture
def results(tmp_path: Path) -> Results:
    results = Results("some")
    results.path = tmp_path / "some.jsonl"
    return results


def test_three_rates_on_the_tuning_seed_then_ten_finals_at_the_best(results: Results) -> None:
    train = Recorder()

    train_missing(results, KEY, train)

    tuning = [(0.00025, 1000, False), (0.0005, 1000, False), (0.001, 1000, False)]
    assert train.calls == tuning + [(0.0005, seed, True) for seed in range(1, 11)]
    assert [row["step"] for row in results.all()] == ["tune"] * 3 + ["final"] * 10
    assert all(row["peer"] == "torch-rechub" and row["architecture"] == "ple" for row in results.all())


def test_what_is_in_the_results_is_not_trained_again(results: Results) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_missing(results, KEY, Recorder(stops_after=5))
    train = Recorder()

    train_missing(results, KEY, train)

    assert train.calls == [(0.0005, seed, True) for seed in range(3, 11)]
    assert len(results.all()) == 13


def test_another_peers_results_do_not_count(results: Results) -> None:
    train_missing(results, KEY, Recorder())
    train = Recorder()

    train_missing(results, KEY | {"peer": "deepctr-torch"}, train)

    assert len(train.calls) == 13
