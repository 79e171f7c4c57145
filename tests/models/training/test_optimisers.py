"""Which optimiser updates which parameter."""

import torch
from torch import nn

from core.model import Optimiser
from models.training.distributed import Single
from models.training.optimisers import Optimisers

CONFIG = Optimiser(learning_rate=0.1, weight_decay=0.5, batch_rows=1, max_epochs=1, patience=1)


def test_a_sparse_table_changes_only_in_rows_that_a_batch_has_read() -> None:
    model = nn.ModuleDict({"large": nn.Embedding(4, 2, sparse=True), "small": nn.Embedding(4, 2)})
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimisers = Optimisers(model, [], CONFIG)

    (model["large"](torch.tensor([1])) + model["small"](torch.tensor([1]))).sum().backward()
    optimisers.average(Single())
    optimisers.step()

    moved = {
        name: (parameter != before[name]).any(1).tolist() for name, parameter in model.named_parameters()
    }
    assert moved == {
        "large.weight": [False, True, False, False],
        "small.weight": [True, True, True, True],  # by weight decay
    }


def test_parameters_beside_the_model_have_no_weight_decay() -> None:
    model, beside = nn.Linear(1, 1), nn.Parameter(torch.tensor([3.0]))
    optimisers = Optimisers(model, [beside], CONFIG)
    weight = model.weight.item()

    (0.0 * model.weight.sum() + 0.0 * beside.sum()).backward()
    optimisers.average(Single())
    optimisers.step()

    assert beside.item() == 3.0
    assert model.weight.item() != weight


def test_gradients_are_cleared() -> None:
    model = nn.ModuleDict({"large": nn.Embedding(4, 2, sparse=True), "small": nn.Linear(2, 1)})
    optimisers = Optimisers(model, [], CONFIG)
    model["small"](model["large"](torch.tensor([1]))).sum().backward()

    optimisers.clear()

    assert all(parameter.grad is None for parameter in model.parameters())
