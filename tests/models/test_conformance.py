"""What PLE and MFH must do, as numbered in the design of the models.

4 and 8 (unequal and stacked experts) are in test_ple.py, 10 (MFH) in test_conformance_mfh.py, level 0 in
test_conformance_level0.py, 11 (ranks) in test_losses.py, 12 in test_golden.py. Weights and inputs are
positive here, so that a dead ReLU is not taken for routing.
"""

from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor, nn

from core.schema import Task
from models.architectures.ple import SHARED, PleConfig, PleTrunk
from models.model import MultiTaskModel
from models.modules.made import fold
from models.training.losses import cell_counts, multi_task_loss
from tests.models.conftest import TRUNKS

Make = Callable[..., MultiTaskModel]
Batch = Callable[..., tuple[Tensor, Tensor, Tensor]]
Positive = Callable[[nn.Module], nn.Module]

ARCHITECTURES = list(TRUNKS)
TASKS, GROUPS = ("click", "like"), ("new", "low", "high")
UNEQUAL = [
    {"task_experts": {"click": 3, "like": 1}, "shared_experts": 2, "expert_widths": [5]},
    {"task_experts": {"click": 1, "like": 2}, "shared_experts": 4, "expert_widths": [6]},
]


def x_of(rows: int, width: int = 10) -> Tensor:
    return torch.rand(rows, width, generator=torch.Generator().manual_seed(3), dtype=torch.float64) + 0.1


def has_gradient(parameters: Iterable[nn.Parameter]) -> bool:
    """Some gradient; none, or all zeros, is no gradient."""
    return any(p.grad is not None and bool((p.grad != 0).any()) for p in parameters)


def all_have_gradient(parameters: Iterable[nn.Parameter]) -> bool:
    return all(p.grad is not None and bool((p.grad != 0).any()) for p in parameters)


# --- PLE and CGC --------------------------------------------------------------------------------


def test_1_the_shared_gate_sees_all_experts_of_its_level_and_the_last_level_has_none() -> None:
    first, last = PleTrunk(7, TASKS, PleConfig(levels=UNEQUAL)).levels

    assert {name: gate.out_features for name, gate in first.gates.linear.items()} == {
        "click_gate": 3 + 2,
        "like_gate": 1 + 2,
        "SHARED_gate": 3 + 1 + 2,
    }
    assert {name: gate.out_features for name, gate in last.gates.linear.items()} == {
        "click_gate": 1 + 4,
        "like_gate": 2 + 4,
    }


@pytest.mark.parametrize("perturbed", ["click", "like", SHARED, "x"])
def test_2_a_level_2_gate_selects_by_its_own_branch_one_level_down(perturbed: str) -> None:
    trunk = PleTrunk(7, TASKS, PleConfig(levels=[UNEQUAL[0], UNEQUAL[1], UNEQUAL[1]])).double()
    between = {b: torch.randn(4, 5, dtype=torch.float64) for b in trunk.branches}
    trunk.levels[0].register_forward_hook(lambda *_: dict(between))
    seen: dict[str, Tensor] = {}
    trunk.levels[1].gates.register_forward_hook(lambda _, __, weights: seen.update(weights))

    x = x_of(4, 7)
    trunk(x)
    before = dict(seen)
    if perturbed == "x":
        trunk(x + 1)
    else:
        between[perturbed] = between[perturbed] + 1
        trunk(x)

    moved = {branch for branch in before if not torch.equal(before[branch], seen[branch])}
    assert set(before) == {*TASKS, SHARED}
    assert moved == {perturbed} - {"x"}


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_3_a_task_reaches_the_other_tasks_experts_only_below_the_last_level(
    levels: int, positive: Positive
) -> None:
    config = PleConfig(levels=[UNEQUAL[0]] * levels)
    trunk = positive(PleTrunk(10, TASKS, config))

    trunk(x_of(4))["click"].sum().backward()

    for j, level in enumerate(trunk.levels):
        is_last = j == levels - 1
        assert all_have_gradient(level.experts["click_experts"].parameters())
        assert all_have_gradient(level.experts["SHARED_experts"].parameters())
        assert has_gradient(level.experts["like_experts"].parameters()) == (not is_last)


# --- every architecture -------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_5_a_batch_of_one_trains_and_predicts(make_model: Make, make_batch: Batch, architecture: str) -> None:
    model, (ids, dense, group) = make_model(architecture, TASKS, GROUPS), make_batch(1)
    tasks = [Task(name=name, label="x", kind="binary") for name in TASKS]
    labels, mask, weight = torch.ones(1, 2), torch.ones(1, 2, dtype=torch.bool), torch.ones(1)
    counts = cell_counts(mask, weight, group, model.cell_groups, "per_cell")
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)

    losses = []
    for _ in range(5):
        optimiser.zero_grad()
        loss = multi_task_loss(
            model(ids, dense, group), labels, mask, weight, group, tasks, counts, "per_cell"
        )
        loss.backward()
        optimiser.step()
        losses.append(loss.item())

    assert losses[-1] < losses[0]
    assert model(ids, dense, group).shape == model.for_group(ids, dense, 0).shape == (1, 2)
    assert model.all_cells(ids, dense).shape == (1, 2, model.cell_groups)


def test_5_one_task_and_one_group_keep_their_dimensions(make_model: Make, make_batch: Batch) -> None:
    model, (ids, dense, _) = make_model("mfh", ("click",), ("everybody",)), make_batch(1)

    assert model.all_cells(ids, dense).shape == (1, 1, 1)
    assert model(ids, dense, torch.tensor([0])).shape == model.for_group(ids, dense, 0).shape == (1, 1)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_6_no_parameter_is_without_gradient_after_all_tasks(
    make_model: Make, make_batch: Batch, positive: Positive, architecture: str
) -> None:
    model, (ids, dense, group) = make_model(architecture, TASKS, GROUPS), make_batch(6)
    positive(model)

    model(ids, dense.double(), group).sum().backward()

    without = [name for name, p in model.named_parameters() if not all_have_gradient([p])]
    assert without == []


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_7_names_that_are_prefixes_of_each_other_or_of_methods_stay_apart(
    make_model: Make, make_batch: Batch, positive: Positive, architecture: str
) -> None:
    names, (ids, dense, group) = ("click", "click_buy", "like", "apply", "shared"), make_batch(6)
    model = make_model(architecture, names, ("old", "old_new", "train"))
    plain = make_model(architecture, ("click", "b", "like", "d", "e"), ("f", "g", "h"))

    assert torch.equal(model(ids, dense, group), plain(ids, dense, group))  # names are only names

    positive(model)
    model(ids, dense.double(), group)[:, 0].sum().backward()
    of_task = {
        name: [
            p
            for key, tower in model.network.towers.items()
            if key.removesuffix("_tower").split("|")[0] == name
            for p in tower.parameters()
        ]
        for name in names
    }
    if architecture == "pooled":  # towers are sums, and the trunk has what is summed
        of_task = {
            name: [
                p
                for key, term in model.network.trunk.terms.items()
                if f"task={name}" in key.split()
                for p in term.parameters()
            ]
            for name in names
        }
    assert all(of_task.values())
    assert {name: has_gradient(own) for name, own in of_task.items()} == {
        "click": True,
        "click_buy": False,
        "like": False,
        "apply": False,
        "shared": False,
    }


@pytest.mark.parametrize("architecture", [a for a in ARCHITECTURES if a != "esmm"])
def test_9_outputs_are_logits(make_model: Make, make_batch: Batch, architecture: str) -> None:
    model, (ids, dense, group) = make_model(architecture, TASKS, GROUPS), make_batch(6)
    before = model(ids, dense, group)
    fold(model)
    trunk = model.network.trunk
    beside = {"biasnet": lambda: [trunk.bias[-1]], "star": lambda: [trunk.auxiliary.out]}
    with torch.no_grad():
        for last in [tower[-1] for tower in model.network.towers.values()] + beside.get(architecture, list)():
            last.weight.mul_(-100)
            last.bias.mul_(-100)

    torch.testing.assert_close(model(ids, dense, group), -100 * before)
