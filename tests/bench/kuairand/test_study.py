"""The comparison resumes one training at a time, with rates inside of what was tried."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bench.cohorts.architectures import VARIANTS
from bench.cohorts.trial import Trained
from bench.kuairand import study as module
from bench.kuairand.plan import NAMES, PAIRS, RESULTS, SEEDS, START, TUNING_SEED
from bench.kuairand.study import run, tuned
from bench.results import Results
from core.errors import LamplighterError
from models.model import MultiTaskModel
from tests.bench.cohorts.made_up import in_folder

NO_MODEL = cast(MultiTaskModel, None)


class Trainings:
    """Validation loss: how many times 2 the rate is off `best`, and how many times 10 the decay 1e-3."""

    def __init__(self, best: float, end_at: int | None = None) -> None:
        self.best, self.end_at = best, end_at
        self.done: list[tuple[str, float, int]] = []
        self.decays: list[float] = []

    def __call__(
        self, variant: Any, _data: Any, rate: float, seed: int, decay: float, embedding_decay: float
    ) -> Trained:
        assert decay == START.weight_decay
        if len(self.done) == self.end_at:
            raise KeyboardInterrupt
        name = next(name for name, known in VARIANTS.items() if known is variant)
        self.done.append((name, rate, seed))
        self.decays.append(embedding_decay)
        if rate > 0.1:
            raise LamplighterError("the loss is not finite")
        loss = abs(math.log2(rate / self.best)) + abs(math.log10(embedding_decay / 1e-3))
        trained = Trained(NO_MODEL, {"validation_loss": loss, "seconds": 0.0})
        object.__setattr__(trained, "logits", lambda *_: None)
        return trained


@pytest.fixture(autouse=True)
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = SimpleNamespace(tasks=(), cohorts={})
    monkeypatch.setattr(Results, "__init__", in_folder(tmp_path))
    monkeypatch.setattr(
        module, "kuairand", lambda: SimpleNamespace(data=data, test=None, users={"test": None})
    )
    monkeypatch.setattr(module, "groups_of", lambda *_: {})
    monkeypatch.setattr(module, "to_cells", lambda *_: {})


def test_a_run_that_was_ended_goes_on_seed_by_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after, again = Trainings(0.008, end_at=100), Trainings(0.008), Trainings(0.008)

    monkeypatch.setattr(module, "train", before)
    with pytest.raises(KeyboardInterrupt):
        run()
    monkeypatch.setattr(module, "train", after)
    run()
    monkeypatch.setattr(module, "train", again)
    run()

    assert again.done == []
    done = before.done + after.done
    tunings, finals = done[: -len(NAMES) * len(SEEDS)], done[-len(NAMES) * len(SEEDS) :]
    assert {seed for *_, seed in tunings} == {TUNING_SEED}
    assert [(name, seed) for name, _, seed in finals] == [(name, seed) for seed in SEEDS for name in NAMES]
    assert {rate for _, rate, _ in finals} == {0.008}
    assert {*(before.decays + after.decays)[len(tunings) :]} == {1e-3}
    assert len(Results(RESULTS).all()) == len(done)


def test_rate_and_decay_are_tuned_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "train", Trainings(0.004))

    found = tuned("ple")

    assert (found.learning_rate, found.weight_decay, found.embedding_decay) == (0.004, 1e-5, 1e-3)


def test_the_named_pairs_are_of_variants_that_are_trained() -> None:
    assert {name for pair in PAIRS for name in pair} == set(NAMES)
    assert set(NAMES) <= VARIANTS.keys()
    assert TUNING_SEED not in SEEDS
