"""Averaged weights: sums that are written out, steps that are counted, a noisy minimum that is met."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.training.averaging import Average
from tests.models.training.test_trainer import trainer
from tests.models.training_set import PLE, make_spec, with_optimiser


class Numbers(nn.Module):
    """Two parameters, whose values a test sets, and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(()))
        self.register_buffer("rows", torch.zeros(()))

    def set(self, value: float) -> None:
        with torch.no_grad():
            self.one.copy_(torch.tensor([value, -value, 1.0]))
            self.two.fill_(value * value)


@pytest.mark.parametrize("share", [0.1, 0.5, 1 / 3])
def test_each_step_counts_by_how_far_back_it_is(share: float) -> None:
    model, values = Numbers(), np.random.default_rng(1).normal(size=90)
    average = Average(model, share)
    for value in values:
        model.set(value)
        average.after_step()

    ends = np.arange(91) / 90
    weight = np.diff(ends ** (1 / share))
    assert weight.sum() == pytest.approx(1)
    with average.applied():
        assert model.one.tolist() == pytest.approx([weight @ values, -weight @ values, 1.0], abs=1e-5)
        assert model.two.item() == pytest.approx(weight @ values**2, abs=1e-5)
    assert model.two.item() == pytest.approx(values[-1] ** 2)


def test_late_in_training_few_snapshots_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Numbers()
    average, taken = Average(model, 0.1), []
    lerp = torch._foreach_lerp_
    monkeypatch.setattr(torch, "_foreach_lerp_", lambda *args: (taken.append(1), lerp(*args)))
    for step in range(1, 5001):
        model.set(step / 5000)
        average.after_step()

    assert 400 < len(taken) < 600
    with average.applied():  # of s / t with weight 10 (s / t)^9: 10 / 11
        assert model.one[0].item() == pytest.approx(10 / 11, abs=0.01)


def test_without_a_share_the_weights_stay_as_they_are() -> None:
    model = Numbers()
    average = Average(model, 0.0)
    for value in (1.0, 2.0):
        model.set(value)
        average.after_step()
    with average.applied():
        assert model.two.item() == 4


def test_the_optimiser_goes_on_from_its_own_weights() -> None:
    torch.manual_seed(1)
    plain, averaged = nn.Linear(2, 1), nn.Linear(2, 1)
    averaged.load_state_dict(plain.state_dict())
    average = Average(averaged, 0.3)
    optimisers = [torch.optim.Adam(model.parameters(), lr=0.1, fused=True) for model in (plain, averaged)]
    for x in torch.randn(20, 8, 2):
        for model, optimiser in zip((plain, averaged), optimisers, strict=True):
            optimiser.zero_grad()
            model(x).square().mean().backward()
            optimiser.step()
        average.after_step()
        with average.applied():
            averaged(x)

    assert torch.equal(plain.weight, averaged.weight)


def test_what_is_validated_and_kept_is_the_average(tmp_path: Path) -> None:
    """At a rate that is too high the last weights are far from a minimum, their average is less so."""
    best = {}
    for share in (0.0, 0.1):
        model = with_optimiser(PLE, learning_rate=0.05, max_epochs=4, patience=4, average_last=share)
        run = trainer(make_spec(tmp_path, model=model))
        history = run.fit()
        best[share] = min(row.validation_loss for row in history)
        assert run._validate()[0] == best[share]

    assert best[0.1] < best[0.0] - 0.01
