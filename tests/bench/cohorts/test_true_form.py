"""The form of the truth: with the truth's own parameters it gives the true probabilities."""

from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch
from torch import nn

from bench.cohorts.architectures import to_model
from bench.cohorts.data import TestBed, to_test_bed
from bench.cohorts.plan import OF_TRUE_FORM
from bench.cohorts.trial import train
from bench.cohorts.true_form import TRUE_FORM, TrueFormTrunk, to_true_form
from bench.cohorts.worlds import BASE, World
from bench.fit import predict
from core.encoder import DenseEncoding
from jobs.workers.synthetic.dials import COHORTS, LATENT
from jobs.workers.synthetic.truth import SLOPE
from models.model import MultiTaskModel
from models.modules.columns import layout_of


def small(world: World) -> TestBed:
    return to_test_bed(world, 3_200, 1, validation_users=60, test_users=90)


def untrained(bed: TestBed) -> MultiTaskModel:
    names = [task.name for task in bed.data.tasks]
    return to_true_form(to_model(TRUE_FORM, 0, 0.01), bed.data.encoder, names, bed.data.cohorts, 1)


def set_to_truth(model: MultiTaskModel, bed: TestBed) -> None:
    """Make vectors the attributes, which must explain all of them, and cells the world's directions."""
    truth, encoder = bed.test_log.world, bed.data.encoder
    trunk = cast(TrueFormTrunk, model.network.trunk)
    dense = {column.column: column for column in encoder.dense}
    with torch.no_grad():
        for layer, side, columns in ((trunk.user, "user", trunk._user), (trunk.item, "item", trunk._item)):
            layer.weight.zero_()
            for d in range(LATENT):
                column = f"{side}_attribute_{d}"
                place = layout_of(encoder).places[column]
                at = columns.of(torch.arange(layout_of(encoder).width)[None]).squeeze(0) == place.start
                set_line(layer, d, at, dense[column])
        for k, task in enumerate(bed.data.tasks):
            for c, cohort in enumerate(COHORTS):
                (tower,) = cast(nn.Sequential, model.network.towers[f"{task.name}|{cohort}_tower"])
                assert isinstance(tower, nn.Linear)
                tower.weight.copy_(torch.from_numpy(SLOPE / np.sqrt(3) * truth.directions[k, c])[None])
                tower.bias.fill_(truth.bases[k, c])


def set_line(layer: nn.Linear, output: int, at: torch.Tensor, column: DenseEncoding) -> None:
    """Let an output be a column's raw value: the input layer takes the mean off and divides."""
    layer.weight[output, at] = column.std
    layer.bias[output] = column.mean


@pytest.mark.parametrize("behaviours", [3, 6])
def test_with_the_truths_parameters_it_gives_the_true_probabilities(behaviours: int) -> None:
    bed = small(replace(BASE, dials=replace(BASE.dials, explained=1.0, behaviours=behaviours)))
    model = untrained(bed)
    set_to_truth(model, bed)

    found = 1 / (1 + np.exp(-predict(model, bed.test)))

    np.testing.assert_allclose(found, bed.test_log.examples.probabilities.reshape(found.shape), atol=1e-5)


@pytest.mark.parametrize("world", OF_TRUE_FORM, ids=lambda world: world.name)
def test_worlds_of_the_bound_have_its_form(world: World) -> None:
    assert small(world).test_log.world.views is None
    assert world.teacher is None


def test_it_learns(capsys: pytest.CaptureFixture[str]) -> None:
    bed = small(BASE)
    trained = train(TRUE_FORM, bed.data, 0.05, seed=1)
    assert trained.summary["epochs"] > 3
    assert np.isfinite(trained.logits(bed.test)).all()
