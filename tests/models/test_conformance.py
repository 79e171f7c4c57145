"""What PLE and MFH must do, as numbered in the design of the models.

4 and 8 (unequal and stacked experts) are in test_ple.py, 11 (ranks) in test_losses.py, 12 in
test_golden.py. Weights and inputs are positive here, so that a dead ReLU is not taken for routing.
"""

from collections.abc import Callable, Iterable
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from core.schema import Task
from models.architectures import ple
from models.architectures.ple import SHARED, PleConfig, PleTrunk
from models.model import MultiTaskModel
from models.modules.network import Network
from models.modules.trunk import Trunk
from models.training.losses import cell_counts, multi_task_loss
from tests.models import oracles
from tests.models.conftest import TRUNKS

Make = Callable[..., MultiTaskModel]
Batch = Callable[..., tuple[Tensor, Tensor, Tensor]]
Positive = Callable[[nn.Module], nn.Module]

ARCHITECTURES = list(TRUNKS)
TASKS, GROUPS, ITEMS = ("click", "like"), ("new", "low", "high"), ("fresh", "known")
THREE_FACETS = TRUNKS["mfh"][1] | {"facets": ["user_cohort", "item_cohort"]}
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
    with torch.no_grad():
        for tower in model.network.towers.values():
            tower[-1].weight.mul_(-100)
            tower[-1].bias.mul_(-100)

    torch.testing.assert_close(model(ids, dense, group), -100 * before)


# --- MFH ----------------------------------------------------------------------------------------


@pytest.fixture
def mfh(make_model: Make) -> Network:
    """Two behaviours, three groups, in double; level 2 has two PLE levels, so a shared gate."""
    return make_model("mfh", TASKS, GROUPS).network.double()


@pytest.fixture
def mfh3(make_model: Make) -> Network:
    """The same with a third facet, two kinds of items."""
    return make_model("mfh", TASKS, GROUPS, items=ITEMS, trunk=THREE_FACETS).network.double()


def tree(network: Network, facet: str) -> nn.Module:
    return network.trunk.trees[f"by_{facet}"]


def switchers(network: Network) -> dict[str, Trunk]:
    """Name without what all share -> switcher."""
    return {
        name.removeprefix("trunk.trees."): module
        for name, module in network.named_modules()
        if isinstance(module, PleTrunk)
    }


def test_10a_there_are_2_and_as_many_switchers_as_values_each_fanning_out_to_the_other_facet(
    mfh: Network,
) -> None:
    fan_out = {name: tuple(switcher.out_dims) for name, switcher in switchers(mfh).items()}

    assert fan_out == {
        "by_task.level1": TASKS,
        "by_task.level2.click_switcher": GROUPS,
        "by_task.level2.like_switcher": GROUPS,
        "by_user_cohort.level1": GROUPS,
        "by_user_cohort.level2.new_switcher": TASKS,
        "by_user_cohort.level2.low_switcher": TASKS,
        "by_user_cohort.level2.high_switcher": TASKS,
    }


def test_10a_three_facets_have_as_many_switchers_as_facets_and_values_and_fan_out_to_products(
    mfh3: Network,
) -> None:
    fan_out = {name: tuple(switcher.out_dims) for name, switcher in switchers(mfh3).items()}

    assert len(fan_out) == 3 + (2 + 3 + 2)
    assert fan_out["by_item_cohort.level1"] == ITEMS
    assert fan_out["by_task.level2.click_switcher"] == tuple("|".join(c) for c in product(GROUPS, ITEMS))
    assert fan_out["by_user_cohort.level2.low_switcher"] == tuple("|".join(c) for c in product(TASKS, ITEMS))
    assert fan_out["by_item_cohort.level2.known_switcher"] == tuple(
        "|".join(c) for c in product(TASKS, GROUPS)
    )
    assert mfh3(x_of(4)).shape == (4, 2, 3 * 2)


def silence(network: Network, facet: str) -> None:
    """Set the last layer of every level-2 switcher of a facet's tree to zero."""
    with torch.no_grad():
        for switcher in tree(network, facet).level2.values():
            for experts in switcher.levels[-1].experts.values():
                experts.first.weight.zero_()
                experts.first.bias.zero_()


@pytest.mark.parametrize(("kept", "dropped"), [("task", "user_cohort"), ("user_cohort", "task")])
def test_10b_without_the_other_tree_every_cell_is_that_of_h_mtl(
    mfh: Network, make_model: Make, kept: str, dropped: str
) -> None:
    h_mtl = make_model("h_mtl", TASKS, GROUPS, trunk=TRUNKS["h_mtl"][1] | {"first": kept}).network.double()
    h_mtl.trunk.tree.load_state_dict(tree(mfh, kept).state_dict())
    h_mtl.towers.load_state_dict(mfh.towers.state_dict())
    x = x_of(5)
    assert not torch.allclose(mfh(x), h_mtl(x))

    silence(mfh, dropped)

    torch.testing.assert_close(mfh(x), h_mtl(x))


def test_10b_three_facets_of_which_two_are_zero_are_h_mtl(mfh3: Network, make_model: Make) -> None:
    trunk = TRUNKS["h_mtl"][1] | {"facets": ["user_cohort", "item_cohort"], "first": "item_cohort"}
    h_mtl = make_model("h_mtl", TASKS, GROUPS, items=ITEMS, trunk=trunk).network.double()
    h_mtl.trunk.tree.load_state_dict(tree(mfh3, "item_cohort").state_dict())
    h_mtl.towers.load_state_dict(mfh3.towers.state_dict())

    for facet in ("task", "user_cohort"):
        silence(mfh3, facet)

    torch.testing.assert_close(mfh3(x_of(5)), h_mtl(x_of(5)))


@pytest.mark.parametrize(("task", "group"), [*product(TASKS, GROUPS)])
def test_10c_a_cell_reaches_its_own_level_2_switchers_and_both_of_level_1(
    mfh: Network, positive: Positive, task: str, group: str
) -> None:
    positive(mfh)

    mfh(x_of(4))[:, TASKS.index(task), GROUPS.index(group)].sum().backward()

    reached = {name for name, switcher in switchers(mfh).items() if has_gradient(switcher.parameters())}
    assert reached == {
        "by_task.level1",
        "by_user_cohort.level1",
        f"by_task.level2.{task}_switcher",
        f"by_user_cohort.level2.{group}_switcher",
    }
    assert {name for name, tower in mfh.towers.items() if has_gradient(tower.parameters())} == {
        f"{task}|{group}_tower"
    }


def test_10d_exchanging_the_facets_leaves_all_cells_unchanged(mfh: Network, make_model: Make) -> None:
    exchanged = make_model("mfh", GROUPS, TASKS).network.double()
    tree(exchanged, "task").load_state_dict(tree(mfh, "user_cohort").state_dict())
    tree(exchanged, "user_cohort").load_state_dict(tree(mfh, "task").state_dict())
    for task, group in product(TASKS, GROUPS):
        exchanged.towers[f"{group}|{task}_tower"].load_state_dict(
            mfh.towers[f"{task}|{group}_tower"].state_dict()
        )

    x = x_of(5)

    torch.testing.assert_close(exchanged(x).transpose(1, 2), mfh(x))


def test_10d_exchanging_two_of_three_facets_leaves_all_cells_unchanged(
    mfh3: Network, make_model: Make
) -> None:
    """The order of the second and third facet decides where a cell stands, and nothing else."""
    trunk = TRUNKS["mfh"][1] | {"facets": ["item_cohort", "user_cohort"]}
    exchanged = make_model("mfh", TASKS, GROUPS, items=ITEMS, trunk=trunk).network.double()
    order = [GROUPS.index(group) * len(ITEMS) + ITEMS.index(item) for item, group in product(ITEMS, GROUPS)]

    def turned(name: str) -> str:
        """A parameter's name in the other order, where it speaks of a pair of facets or of a cell."""
        for first, second in product(GROUPS, ITEMS):
            name = name.replace(f"{first}|{second}_", f"{second}|{first}_")
        return name

    with torch.no_grad():
        exchanged.load_state_dict(
            {turned(name): value for name, value in mfh3.state_dict().items()}, strict=False
        )
        # The shared gates of a tree by task weigh experts in the order of the outputs: turn them, too.
        for task in TASKS:
            ours = tree(mfh3, "task").level2[f"{task}_switcher"].levels[0]
            theirs = tree(exchanged, "task").level2[f"{task}_switcher"].levels[0]
            gate = ours.gates.linear[f"{SHARED}_gate"].weight
            theirs.gates.linear[f"{SHARED}_gate"].weight.copy_(gate[[*order, *range(len(order), len(gate))]])

    x = x_of(5)

    torch.testing.assert_close(exchanged(x), mfh3(x)[:, :, order])


def watch(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, tuple[str, ...]], set[str], set[int]]:
    """What will run: the outputs of each switcher, the towers, and the experts by their ids."""
    outputs: dict[str, tuple[str, ...]] = {}
    towers: set[str] = set()
    experts: set[int] = set()
    for name, module in switchers(network).items():
        module.register_forward_hook(lambda *args, name=name: outputs.update({name: tuple(args[2])}))
    for name, tower in network.towers.items():
        tower.register_forward_hook(lambda *_, name=name: towers.add(name))
    run_experts = ple.run_experts
    monkeypatch.setattr(
        ple, "run_experts", lambda of, x: experts.update(map(id, of.values())) or run_experts(of, x)
    )
    return outputs, towers, experts


@pytest.mark.parametrize("group", range(3))
def test_10e_one_group_alone_is_the_same_and_computes_nothing_for_others(
    mfh: Network, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, own = x_of(5), GROUPS[group]
    expected = mfh(x)[:, :, group]
    outputs, towers, experts = watch(mfh, monkeypatch)

    logits = mfh.for_group(x, group)

    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=0)
    assert towers == {f"{task}|{own}_tower" for task in TASKS}
    assert outputs == {
        "by_task.level1": TASKS,
        "by_task.level2.click_switcher": (own,),
        "by_task.level2.like_switcher": (own,),
        "by_user_cohort.level1": (own,),
        f"by_user_cohort.level2.{own}_switcher": TASKS,
    }
    for switcher in [tree(mfh, "user_cohort").level1, *tree(mfh, "task").level2.values()]:
        last = switcher.levels[-1].experts
        ran = {name for name, module in last.items() if id(module) in experts}
        assert ran == {f"{own}_experts", f"{SHARED}_experts"}


@pytest.mark.parametrize("group", range(6))
def test_10e_one_pair_of_groups_alone_is_the_same_and_computes_nothing_for_others(
    mfh3: Network, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, (user, item) = x_of(5), [*product(GROUPS, ITEMS)][group]
    expected = mfh3(x)[:, :, group]
    outputs, towers, experts = watch(mfh3, monkeypatch)

    logits = mfh3.for_group(x, group)

    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=0)
    assert towers == {f"{task}|{user}|{item}_tower" for task in TASKS}
    assert outputs == {
        "by_task.level1": TASKS,
        "by_task.level2.click_switcher": (f"{user}|{item}",),
        "by_task.level2.like_switcher": (f"{user}|{item}",),
        "by_user_cohort.level1": (user,),
        f"by_user_cohort.level2.{user}_switcher": tuple(f"{task}|{item}" for task in TASKS),
        "by_item_cohort.level1": (item,),
        f"by_item_cohort.level2.{item}_switcher": tuple(f"{task}|{user}" for task in TASKS),
    }
    for name, wanted in outputs.items():
        last = switchers(mfh3)[name].levels[-1].experts
        ran = {key for key, module in last.items() if id(module) in experts}
        assert ran == {f"{output}_experts" for output in (*wanted, SHARED)}


# --- level 0 ------------------------------------------------------------------------------------

ON_LEVEL_0 = ("flat_on_level_0", "h_mtl_on_level_0", "mfh_on_level_0")


@pytest.mark.parametrize("architecture", ON_LEVEL_0)
def test_level_0_is_all_that_trees_and_towers_see_of_the_input(make_model: Make, architecture: str) -> None:
    """At a fixed h another x moves nothing; at a fixed x another h moves every cell."""
    network = make_model(architecture, TASKS, GROUPS).network.double()
    h_BH = x_of(4, 7)
    network.trunk.level0.register_forward_hook(lambda *_: h_BH)

    before = network(x_of(4))
    of_other_x = network(x_of(4) + 1)
    h_BH = h_BH + 1
    of_other_h = network(x_of(4))

    assert torch.equal(of_other_x, before)
    assert bool((of_other_h != before).any(0).all())


@pytest.mark.parametrize("architecture", ON_LEVEL_0)
def test_the_first_switchers_of_all_trees_read_the_output_of_level_0(
    make_model: Make, architecture: str
) -> None:
    trunk = make_model(architecture, TASKS, GROUPS).network.double().trunk
    first = {
        "flat_on_level_0": lambda: [trunk.switcher],
        "h_mtl_on_level_0": lambda: [trunk.tree.level1],
        "mfh_on_level_0": lambda: [tree.level1 for tree in trunk.trees.values()],
    }[architecture]()
    read: list[Tensor] = []
    for switcher in first:
        switcher.register_forward_pre_hook(lambda _, arguments: read.append(arguments[0]))

    x = x_of(4)
    trunk(x)

    assert len(read) == len(first)
    assert all(h_BH is read[0] for h_BH in read)
    torch.testing.assert_close(read[0], oracles.expert(trunk.level0.bottom, 0, x))


@pytest.mark.parametrize("architecture", ON_LEVEL_0)
def test_the_loss_of_every_cell_reaches_level_0(
    make_model: Make, positive: Positive, architecture: str
) -> None:
    network = positive(make_model(architecture, TASKS, GROUPS).network)
    uneven_B = torch.linspace(1, 2, 4, dtype=torch.float64)

    for task, group in product(range(len(TASKS)), range(len(GROUPS))):
        network.zero_grad()
        (network(x_of(4))[:, task, group] * uneven_B).sum().backward()
        assert all_have_gradient(network.trunk.level0.parameters())


@pytest.mark.parametrize("architecture", ON_LEVEL_0)
@pytest.mark.parametrize("group", range(3))
def test_on_level_0_one_group_alone_is_the_same_as_among_all(
    make_model: Make, architecture: str, group: int
) -> None:
    network = make_model(architecture, TASKS, GROUPS).network.double()

    alone = network.for_group(x_of(5), group)

    torch.testing.assert_close(alone, network(x_of(5))[:, :, group], rtol=1e-5, atol=0)


@pytest.mark.parametrize(("kept", "dropped"), [("task", "user_cohort"), ("user_cohort", "task")])
def test_10b_on_level_0_every_cell_without_the_other_tree_is_that_of_h_mtl(
    make_model: Make, kept: str, dropped: str
) -> None:
    mfh = make_model("mfh_on_level_0", TASKS, GROUPS).network.double()
    first = TRUNKS["h_mtl_on_level_0"][1] | {"first": kept}
    h_mtl = make_model("h_mtl_on_level_0", TASKS, GROUPS, trunk=first).network.double()
    h_mtl.trunk.level0.load_state_dict(mfh.trunk.level0.state_dict())
    h_mtl.trunk.tree.load_state_dict(tree(mfh, kept).state_dict())
    h_mtl.towers.load_state_dict(mfh.towers.state_dict())
    x = x_of(5)
    assert not torch.allclose(mfh(x), h_mtl(x))

    silence(mfh, dropped)

    torch.testing.assert_close(mfh(x), h_mtl(x))


@pytest.mark.parametrize("architecture", ["flat", "h_mtl", "mfh"])
def test_without_level_0_the_trees_read_the_input_itself(make_model: Make, architecture: str) -> None:
    trunk = make_model(architecture, TASKS, GROUPS).network.trunk

    assert list(trunk.level0.parameters()) == []
    x = x_of(4)
    assert trunk.level0(x) is x
