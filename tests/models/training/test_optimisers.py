"""Which optimiser updates which parameter."""

import pytest
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


@pytest.mark.parametrize(
    ("of_embeddings", "shrunk"), [(None, ["layer", "table"]), (0.0, ["layer"]), (0.5, ["layer", "table"])]
)
def test_embeddings_have_their_own_weight_decay_where_it_is_given(
    of_embeddings: float | None, shrunk: list[str]
) -> None:
    model = nn.ModuleDict({"table": nn.Embedding(3, 2), "layer": nn.Linear(2, 1, bias=False)})
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    config = CONFIG.model_copy(update={"embedding_decay": of_embeddings})
    optimisers = Optimisers(model, [], config)

    (0.0 * model["layer"](model["table"](torch.arange(3))).sum()).backward()
    optimisers.average(Single())
    optimisers.step()

    moved = {name for name, parameter in model.named_parameters() if not parameter.equal(before[name])}
    assert sorted(moved) == [f"{name}.weight" for name in shrunk]


def test_without_decay_of_its_own_the_other_parameters_do_not_shrink() -> None:
    model = nn.ModuleDict({"table": nn.Embedding(3, 2), "layer": nn.Linear(2, 1, bias=False)})
    config = CONFIG.model_copy(update={"weight_decay": 0.0, "embedding_decay": 0.5})
    weight, rows = model["layer"].weight.clone(), model["table"].weight.clone()

    (0.0 * model["layer"](model["table"](torch.arange(3))).sum()).backward()
    Optimisers(model, [], config).step()

    assert model["layer"].weight.equal(weight)
    assert not model["table"].weight.equal(rows)


def test_the_rate_grows_in_equal_parts_until_the_warmup_ends() -> None:
    """In its first steps Adam moves a parameter of constant gradient by the learning rate."""
    model = nn.ModuleDict({"large": nn.Embedding(1, 1, sparse=True), "small": nn.Embedding(1, 1)})
    optimisers = Optimisers(model, [], CONFIG.model_copy(update={"warmup_steps": 4, "weight_decay": 0.0}))

    lengths = [step_lengths(model, optimisers) for _ in range(6)]

    for table in (0, 1):
        of_table = [length[table] for length in lengths]
        assert of_table == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1], rel=1e-4)


def step_lengths(model: nn.ModuleDict, optimisers: Optimisers) -> list[float]:
    """Take a step of gradient 1 for both tables; return how far each has moved."""
    before = [parameter.item() for parameter in model.parameters()]
    optimisers.clear()
    (model["large"](torch.tensor([0])) + model["small"](torch.tensor([0]))).sum().backward()
    optimisers.step()
    return [was - parameter.item() for was, parameter in zip(before, model.parameters(), strict=True)]


def test_gradients_are_cleared() -> None:
    model = nn.ModuleDict({"large": nn.Embedding(4, 2, sparse=True), "small": nn.Linear(2, 1)})
    optimisers = Optimisers(model, [], CONFIG)
    model["small"](model["large"](torch.tensor([1]))).sum().backward()

    optimisers.clear()

    assert all(parameter.grad is None for parameter in model.parameters())
