"""Level 0: every cell reads it and nothing else, and its loss reaches it."""

from itertools import product

import pytest
import torch
from torch import Tensor

from tests.models import oracles
from tests.models.conftest import TRUNKS
from tests.models.test_conformance import GROUPS, TASKS, Make, Positive, all_have_gradient, x_of
from tests.models.test_conformance_mfh import silence, tree

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
