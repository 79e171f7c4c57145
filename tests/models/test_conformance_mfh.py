"""What MFH must do: number 10 of the conformance tests."""

from itertools import product

import pytest
import torch
from torch import nn

from models.architectures import ple
from models.architectures.ple import SHARED, PleTrunk
from models.modules.network import Network
from models.modules.trunk import Trunk
from tests.models.conftest import TRUNKS
from tests.models.test_conformance import GROUPS, TASKS, Make, Positive, has_gradient, x_of

ITEMS = ("fresh", "known")
THREE_FACETS = TRUNKS["mfh"][1] | {"facets": ["user_cohort", "item_cohort"]}


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
