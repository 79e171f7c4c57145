"""PLE, MMoE, MFH and the losses for any shape equal a plain loop."""

from collections.abc import Callable
from itertools import product
from math import prod
from typing import Any

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from core.schema import Task
from models.architectures.mfh import MfhConfig, MfhTrunk
from models.architectures.mmoe import MmoeConfig, MmoeTrunk
from models.architectures.ple import PleConfig, PleTrunk
from models.modules.network import Network
from models.modules.tree import FacetTree
from models.modules.trunk import CELL, Facets, Trunk
from models.training.losses import Normalise, cell_counts, multi_task_loss
from tests.models import oracles
from tests.models.conftest import make_positive

D = 4
TIGHT = {"rtol": 1e-10, "atol": 1e-10}
FEW = settings(derandomize=True, max_examples=40)

few = st.integers(1, 3)
widths = st.lists(st.integers(1, 5), min_size=1, max_size=3)
Drawn = dict[str, Any]


def tasks_of(count: int) -> tuple[str, ...]:
    return tuple(f"task{k}" for k in range(count))


def levels(**experts: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Drawn]]:
    """One to three levels with these numbers of experts."""
    level = {
        **experts,
        "expert_widths": widths,
        "gate": st.sampled_from(["softmax", "sigmoid"]),
        "norm": st.sampled_from(["none", "layer"]),
    }
    return st.lists(st.fixed_dictionaries(level), min_size=1, max_size=3)


def ple_levels(tasks: tuple[str, ...]) -> st.SearchStrategy[list[Drawn]]:
    """Levels whose experts are numbered by task, or one number for all."""
    task_experts = few | st.fixed_dictionaries(dict.fromkeys(tasks, few))
    return levels(task_experts=task_experts, shared_experts=few)


ples = st.integers(1, 4).map(tasks_of).flatmap(lambda tasks: st.tuples(st.just(tasks), ple_levels(tasks)))


def x_of(rows: int) -> Tensor:
    return torch.randn(rows, D, generator=torch.Generator().manual_seed(rows), dtype=torch.float64)


def assert_same(trunk: Trunk, loop: Callable[[Any, Tensor], dict[str, Tensor]], rows: int) -> None:
    """Outputs, and gradients of all parameters and of the input, are those of the loop."""
    x = x_of(rows).requires_grad_()
    of = [x, *trunk.parameters()]
    stacked, looped = trunk(x), loop(trunk, x)

    assert list(stacked) == list(looped)
    torch.testing.assert_close(stacked, looped, **TIGHT)
    ours, plain = (
        torch.autograd.grad(
            sum((k + 1) * y.square().sum() for k, y in enumerate(outputs.values())),
            of,
            materialize_grads=True,
        )
        for outputs in (stacked, looped)
    )
    torch.testing.assert_close(ours, plain, **TIGHT)


@FEW
@given(shape=ples, rows=st.integers(1, 5), seed=st.integers(0, 9))
def test_any_ple_equals_a_loop_over_experts_forward_and_backward(
    shape: tuple[tuple[str, ...], list[Drawn]], rows: int, seed: int
) -> None:
    torch.manual_seed(seed)
    tasks, levels = shape

    trunk = PleTrunk(D, tasks, PleConfig(levels=levels)).double()

    assert_same(trunk, oracles.ple, rows)


@FEW
@given(
    tasks=st.integers(1, 4).map(tasks_of),
    levels=levels(experts=few),
    rows=st.integers(1, 5),
    seed=st.integers(0, 9),
)
def test_any_mmoe_equals_a_loop_over_experts_forward_and_backward(
    tasks: tuple[str, ...], levels: list[Drawn], rows: int, seed: int
) -> None:
    torch.manual_seed(seed)

    trunk = MmoeTrunk(D, tasks, MmoeConfig(levels=levels)).double()

    assert_same(trunk, oracles.mmoe, rows)


# --- MFH ----------------------------------------------------------------------------------------

SWITCHERS: dict[str, st.SearchStrategy[Drawn]] = {
    "shared_bottom": st.fixed_dictionaries({"widths": widths}),
    "single_task": st.fixed_dictionaries({"widths": widths}),
    "cross_stitch": st.fixed_dictionaries({"widths": widths}),
    "customized": st.fixed_dictionaries({"shared_widths": widths, "task_widths": widths}),
    "mmoe": st.fixed_dictionaries({"levels": levels(experts=few)}),
    "ple": st.fixed_dictionaries({"levels": levels(task_experts=few, shared_experts=few)}),
}

switchers = st.sampled_from(list(SWITCHERS)).flatmap(
    lambda kind: st.fixed_dictionaries({"kind": st.just(kind), "trunk": SWITCHERS[kind]})
)
facets = st.builds(
    lambda tasks, users, items: {
        "task": tasks_of(tasks),
        "user_cohort": tuple(f"user{n}" for n in range(users)),
        **({"item_cohort": tuple(f"item{n}" for n in range(items))} if items else {}),
    },
    few,
    few,
    st.integers(0, 2),
)


level0s = st.none() | st.fixed_dictionaries({"widths": widths, "norm": st.sampled_from(["none", "layer"])})


def network_of(facets: Facets, level0: Drawn | None, level1: Drawn, level2: Drawn) -> Network:
    cohorts = [name for name in facets if name != "task"]
    trunk = MfhTrunk(D, facets, MfhConfig(facets=cohorts, level0=level0, level1=level1, level2=level2))
    return Network(trunk, facets["task"], tower=(), towers={}).double()


@FEW
@given(facets=facets, level0=level0s, level1=switchers, level2=switchers)
def test_any_mfh_is_the_sum_of_its_trees_with_one_switcher_per_facet_and_per_value(
    facets: Facets, level0: Drawn | None, level1: Drawn, level2: Drawn
) -> None:
    trunk = network_of(facets, level0, level1, level2).trunk
    x = x_of(3)

    assert sum(isinstance(module, Trunk) for module in trunk.trees.modules()) == len(facets) + sum(
        len(values) for values in facets.values()
    )
    torch.testing.assert_close(trunk(x), oracles.mfh(trunk, x), **TIGHT)


@FEW
@given(facets=facets, level0=level0s, level1=switchers, level2=switchers)
def test_any_group_alone_is_the_same_as_among_all(
    facets: Facets, level0: Drawn | None, level1: Drawn, level2: Drawn
) -> None:
    network, x = network_of(facets, level0, level1, level2), x_of(3)
    groups = prod(len(values) for name, values in facets.items() if name != "task")

    cells_BKG = network(x)

    assert cells_BKG.shape == (3, len(facets["task"]), groups)
    for group in range(groups):
        torch.testing.assert_close(network.for_group(x, group), cells_BKG[:, :, group], rtol=1e-5, atol=1e-12)


def has_a_constant_layer(part: Any) -> bool:
    """A layer of one unit, normalised, is its shift whatever it reads; no gradient passes it."""
    if isinstance(part, list):
        return any(map(has_a_constant_layer, part))
    if not isinstance(part, dict):
        return False
    layers = [*part.get("widths", []), *part.get("expert_widths", [])]
    is_constant = part.get("norm") == "layer" and 1 in layers
    return is_constant or any(map(has_a_constant_layer, part.values()))


def reached(trunk: MfhTrunk) -> set[str]:
    """The switchers with a gradient: facet, or value of one."""
    trees: dict[str, FacetTree] = {name.removeprefix("by_"): tree for name, tree in trunk.trees.items()}
    modules: dict[str, nn.Module] = {name: tree.level1 for name, tree in trees.items()}
    for tree in trees.values():
        modules |= {name.removesuffix("_switcher"): switcher for name, switcher in tree.level2.items()}
    return {
        name
        for name, module in modules.items()
        if any(p.grad is not None and bool((p.grad != 0).any()) for p in module.parameters())
    }


@FEW
@given(facets=facets, level0=level0s, level1=switchers, level2=switchers, data=st.data())
def test_a_cell_of_any_mfh_reaches_the_switchers_of_its_own_values_only(
    facets: Facets, level0: Drawn | None, level1: Drawn, level2: Drawn, data: st.DataObject
) -> None:
    assume(not any(map(has_a_constant_layer, (level0, level1, level2))))
    trunk = make_positive(network_of(facets, level0, level1, level2).trunk)
    for name, parameter in trunk.named_parameters():
        if ".shifts." in name:
            nn.init.constant_(parameter, 9.0)  # what is normalised may be negative, and its ReLU dead
    cell = data.draw(st.sampled_from([*product(*facets.values())]))

    trunk(x_of(3).abs() + 0.1)[CELL.join(cell)].sum().backward()

    assert reached(trunk) == {*facets, *cell}


# --- losses -------------------------------------------------------------------------------------

values = st.floats(-3, 3, width=32)
rows = st.fixed_dictionaries(
    {
        "rank": st.integers(0, 3),  # a rank may be left without a row
        "group": st.integers(0, 2),
        "weight": st.sampled_from([0.0, 0.5, 1.0, 3.0]),  # 0: padding
        "valid": st.lists(st.booleans(), min_size=3, max_size=3),
        "logits": st.lists(values, min_size=3, max_size=3),
        "labels": st.lists(st.sampled_from([0.0, 1.0]), min_size=3, max_size=3),
    }
)
TASKS = (
    Task(name="click", label="is_click = 1", kind="binary", weight=2.0),
    Task(name="play", label="play_seconds", kind="regression", weight=0.5),
    Task(name="like", label="is_like = 1", kind="binary"),
)


@FEW
@given(
    rows=st.lists(rows, min_size=1, max_size=8),
    other=st.randoms(use_true_random=False),
    groups=st.sampled_from([1, 3]),
    normalise=st.sampled_from(["per_cell", "per_task", "global"]),
)
def test_rows_shuffled_over_ranks_leave_loss_and_gradients_unchanged(
    rows: list[Drawn], other: Any, groups: int, normalise: Normalise
) -> None:
    def tensor(key: str) -> Tensor:
        made = torch.tensor([row[key] for row in rows])
        return made.double() if made.is_floating_point() else made

    mask, weight, group = tensor("valid"), tensor("weight"), tensor("group")
    labels = tensor("labels").masked_fill(~mask, torch.nan)

    def over(ranks: list[list[int]]) -> tuple[Tensor, Tensor]:
        """Mean loss of the ranks, and its gradient by row."""
        logits = tensor("logits").requires_grad_()
        counts = [cell_counts(mask[own], weight[own], group[own], groups, normalise) for own in ranks]
        losses = [
            multi_task_loss(
                logits[own], labels[own], mask[own], weight[own], group[own], TASKS, sum(counts), normalise,
                world_size=len(ranks),
            )
            for own in ranks
        ]  # fmt: skip
        loss = torch.stack(losses).mean()
        return loss.detach(), torch.autograd.grad(loss, logits)[0]

    order = list(range(len(rows)))
    alone = over([order])
    other.shuffle(order)
    shuffled = over([[i for i in order if rows[i]["rank"] == rank] for rank in range(4)])

    torch.testing.assert_close(shuffled, alone, **TIGHT)
