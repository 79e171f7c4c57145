"""What PLE and MFH must do, as numbered in the design of the models.

4 and 8 (unequal and stacked experts) are in test_ple.py, 11 (ranks) in test_losses.py, 12 in
test_golden.py. Weights and inputs are positive here, so that a dead ReLU is not taken for routing.
"""

from collections.abc import Callable, Iterable
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from conf.schema import Task
from models import ple
from models.losses import cell_counts, multi_task_loss
from models.mfh import Mfh
from models.model import MultiTaskModel
from models.ple import SHARED, PleConfig, PleTrunk

Make = Callable[..., MultiTaskModel]
Batch = Callable[..., tuple[Tensor, Tensor, Tensor]]
Positive = Callable[[nn.Module], nn.Module]

ARCHITECTURES = ["cgc", "ple", "mfh"]
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

    assert {name: gate.out_features for name, gate in first.gates.items()} == {
        "click_gate": 3 + 2,
        "like_gate": 1 + 2,
        "SHARED_gate": 3 + 1 + 2,
    }
    assert {name: gate.out_features for name, gate in last.gates.items()} == {
        "click_gate": 1 + 4,
        "like_gate": 2 + 4,
    }


@pytest.mark.parametrize("perturbed", ["click", "like", SHARED, "x"])
def test_2_a_level_2_gate_selects_by_its_own_branch_one_level_down(
    perturbed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trunk = PleTrunk(7, TASKS, PleConfig(levels=[UNEQUAL[0], UNEQUAL[1], UNEQUAL[1]])).double()
    between = {b: torch.randn(4, 5, dtype=torch.float64) for b in trunk.branches}
    trunk.levels[0].register_forward_hook(lambda *_: dict(between))
    seen: dict[str, Tensor] = {}
    gate_weights = trunk.levels[1].gate_weights
    monkeypatch.setattr(
        trunk.levels[1], "gate_weights", lambda *args: seen.update(gate_weights(*args)) or dict(seen)
    )

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
    names, (ids, dense, group) = ("click", "click_buy", "apply", "shared"), make_batch(6)
    model = make_model(architecture, names, ("old", "old_new", "train"))
    plain = make_model(architecture, ("a", "b", "c", "d"), ("e", "f", "g"))

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
    assert all(of_task.values())
    assert {name: has_gradient(own) for name, own in of_task.items()} == {
        "click": True,
        "click_buy": False,
        "apply": False,
        "shared": False,
    }


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_9_outputs_are_logits(make_model: Make, make_batch: Batch, architecture: str) -> None:
    model, (ids, dense, group) = make_model(architecture, TASKS, GROUPS), make_batch(6)
    before = model(ids, dense, group)
    with torch.no_grad():
        for tower in model.network.towers.values():
            tower[-1].weight.mul_(-100)
            tower[-1].bias.mul_(-100)

    torch.testing.assert_close(model(ids, dense, group), -100 * before)


# --- MFH ----------------------------------------------------------------------------------------


@pytest.fixture
def mfh(make_model: Make) -> Mfh:
    """Two behaviours, three groups, in double; level 2 has two PLE levels, so a shared gate."""
    network = make_model("mfh", TASKS, GROUPS).network.double()
    assert isinstance(network, Mfh)
    return network


def last_experts(switcher: PleTrunk) -> list[nn.Module]:
    return list(switcher.levels[-1].experts.values())


def test_10a_there_are_2_and_as_many_switchers_as_values_each_fanning_out_to_the_other_facet(
    mfh: Mfh,
) -> None:
    fan_out = {name: module.tasks for name, module in mfh.named_modules() if isinstance(module, PleTrunk)}

    assert fan_out == {
        "by_task.level1": TASKS,
        "by_task.level2.click_switcher": GROUPS,
        "by_task.level2.like_switcher": GROUPS,
        "by_group.level1": GROUPS,
        "by_group.level2.new_switcher": TASKS,
        "by_group.level2.low_switcher": TASKS,
        "by_group.level2.high_switcher": TASKS,
    }


class HMtl(nn.Module):
    """One tree, behaviour then group or the other way round, as H-MTL has it; the oracle of 10 (b)."""

    def __init__(
        self, first: PleTrunk, second: dict[str, PleTrunk], towers: dict[tuple[str, str], nn.Module]
    ) -> None:
        super().__init__()
        self.first, self.second, self.tower = first, second, towers

    def cell(self, x_BD: Tensor, value: str, other: str) -> Tensor:
        return self.tower[value, other](self.second[value](self.first(x_BD)[value])[other])


@pytest.mark.parametrize("kept", ["by_task", "by_group"])
def test_10b_without_the_other_tree_every_cell_is_that_of_h_mtl(mfh: Mfh, kept: str) -> None:
    tree, dropped = (mfh.by_task, mfh.by_group) if kept == "by_task" else (mfh.by_group, mfh.by_task)
    with torch.no_grad():
        for switcher in dropped.level2.values():
            for experts in last_experts(switcher):
                experts.first.weight.zero_()
                experts.first.bias.zero_()
    values, others = (TASKS, GROUPS) if kept == "by_task" else (GROUPS, TASKS)
    as_cell = {(v, o): (v, o) if kept == "by_task" else (o, v) for v, o in product(values, others)}
    h_mtl = HMtl(
        tree.level1,
        {value: tree.level2[f"{value}_switcher"] for value in values},
        {path: mfh.towers["|".join(cell) + "_tower"] for path, cell in as_cell.items()},
    )
    x = x_of(5)

    cells_BKG = mfh(x)

    assert len(as_cell) == 6
    for (value, other), (task, group) in as_cell.items():
        ours = cells_BKG[:, TASKS.index(task), GROUPS.index(group)]
        torch.testing.assert_close(ours, h_mtl.cell(x, value, other).squeeze(1))


@pytest.mark.parametrize(("task", "group"), [*product(TASKS, GROUPS)])
def test_10c_a_cell_reaches_its_own_level_2_switchers_and_both_of_level_1(
    mfh: Mfh, positive: Positive, task: str, group: str
) -> None:
    positive(mfh)

    mfh(x_of(4))[:, TASKS.index(task), GROUPS.index(group)].sum().backward()

    reached = {
        name for name, m in mfh.named_modules() if isinstance(m, PleTrunk) and has_gradient(m.parameters())
    }
    assert reached == {
        "by_task.level1",
        "by_group.level1",
        f"by_task.level2.{task}_switcher",
        f"by_group.level2.{group}_switcher",
    }
    assert {name for name, tower in mfh.towers.items() if has_gradient(tower.parameters())} == {
        f"{task}|{group}_tower"
    }


def test_10d_exchanging_the_facets_leaves_all_cells_unchanged(mfh: Mfh, make_model: Make) -> None:
    exchanged = make_model("mfh", GROUPS, TASKS).network.double()
    exchanged.by_task.load_state_dict(mfh.by_group.state_dict())
    exchanged.by_group.load_state_dict(mfh.by_task.state_dict())
    for task, group in product(TASKS, GROUPS):
        exchanged.towers[f"{group}|{task}_tower"].load_state_dict(
            mfh.towers[f"{task}|{group}_tower"].state_dict()
        )

    x = x_of(5)

    torch.testing.assert_close(exchanged(x).transpose(1, 2), mfh(x))


@pytest.mark.parametrize("group", range(3))
def test_10e_one_group_alone_is_the_same_and_computes_nothing_for_others(
    mfh: Mfh, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, own = x_of(5), GROUPS[group]
    expected = mfh(x)[:, :, group]
    outputs: dict[str, tuple[str, ...]] = {}  # of each switcher that ran
    towers: set[str] = set()
    experts: set[int] = set()
    for name, module in mfh.named_modules():
        if isinstance(module, PleTrunk):
            module.register_forward_hook(lambda *args, name=name: outputs.update({name: tuple(args[2])}))
    for name, tower in mfh.towers.items():
        tower.register_forward_hook(lambda *_, name=name: towers.add(name))
    run_experts = ple.run_experts
    monkeypatch.setattr(
        ple, "run_experts", lambda of, x: experts.update(map(id, of.values())) or run_experts(of, x)
    )

    logits = mfh.for_group(x, group)

    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=0)
    assert towers == {f"{task}|{own}_tower" for task in TASKS}
    assert outputs == {
        "by_task.level1": TASKS,
        "by_task.level2.click_switcher": (own,),
        "by_task.level2.like_switcher": (own,),
        "by_group.level1": (own,),
        f"by_group.level2.{own}_switcher": TASKS,
    }
    for switcher in [mfh.by_group.level1, *mfh.by_task.level2.values()]:
        last = switcher.levels[-1].experts
        ran = {name for name, module in last.items() if id(module) in experts}
        assert ran == {f"{own}_experts", f"{SHARED}_experts"}
