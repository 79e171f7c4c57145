"""Gates, observed: mean and spread by hand, which rows count where, what counts as collapsed."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models.metrics.gate_report import (
    GateKey,
    GateState,
    GateSums,
    collapsed,
    gate_state,
    gate_weights,
    merge,
)
from models.model import MultiTaskModel
from models.modules.experts import Experts, Gates, Mixture
from tests.models.conftest import LEVEL

MakeModel = Callable[..., MultiTaskModel]
MakeBatch = Callable[..., tuple[Tensor, Tensor, Tensor]]
WITHOUT_GATES = ("single_task", "shared_bottom", "asymmetric", "customized", "cross_stitch", "sluice", "esmm")


def state_of(
    model: MultiTaskModel, batch: tuple[Tensor, Tensor, Tensor], weight: np.ndarray | None = None
) -> GateState:
    """The state of a batch, by user cohort of its groups 0, 1, 2."""
    categorical, dense, group = batch
    g = group.numpy()
    names = {"all": g >= 0, "user:new": g == 0, "user:low": g == 1, "user:high": g == 2}
    return gate_state(
        model.eval(), categorical, dense, g, np.ones(len(g)) if weight is None else weight, names
    )


def first_gate(model: MultiTaskModel) -> tuple[str, nn.Parameter]:
    """The scores' weights of the first task's gate at the first level."""
    gates = next(module for module in model.modules() if isinstance(module, Gates))
    name = next(iter(gates.linear))
    return name.removesuffix("_gate"), cast(nn.Linear, gates.linear[name]).weight


def test_mean_and_spread_are_those_of_the_softmax_over_rows_by_cohort_and_weight(
    make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model, batch = make_model("cgc"), make_batch(30)
    weight = np.array([0.0, 1.0, 3.0] * 10)  # those of `new` are padding
    _, scores_ND = first_gate(model)
    with torch.no_grad():
        w_BN = (model.input(batch[0], batch[1]) @ scores_ND.T).softmax(1).double().numpy()

    rows = {(row.gate, row.expert, row.cohort): row for row in gate_weights(state_of(model, batch, weight))}

    assert {gate for gate, _, _ in rows} == {"levels.0.click", "levels.0.like"}
    assert {expert for gate, expert, _ in rows if gate == "levels.0.click"} == {
        "click.0",
        "SHARED.0",
        "SHARED.1",
    }
    assert "user:new" not in {cohort for _, _, cohort in rows}
    for n, expert in enumerate(("click.0", "SHARED.0", "SHARED.1")):
        for cohort, own in (("all", weight > 0), ("user:low", weight == 1), ("user:high", weight == 3)):
            row = rows["levels.0.click", expert, cohort]
            mean = np.average(w_BN[own, n], weights=weight[own])
            std = np.sqrt(np.average((w_BN[own, n] - mean) ** 2, weights=weight[own]))
            assert row.rows == own.sum()
            assert row.mean == pytest.approx(mean, rel=1e-5)
            assert row.std == pytest.approx(std, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "gates"),
    [
        ("cgc", 2),
        ("ple", 2 + 3),  # the first level has a shared gate
        ("mmoe", 2),
        ("ml_mmoe", 3 + 3 + 2),  # one for each expert of the next level
        ("h_mtl", 2 + 2 * (4 + 3)),  # behaviours; a switcher of two levels over three groups for each
        ("mfh", (2 + 2 * (4 + 3)) + (3 + 3 * (3 + 2))),
        *((name, 0) for name in WITHOUT_GATES),
    ],
)
def test_every_gate_of_every_architecture_is_observed(
    name: str, gates: int, make_model: MakeModel, make_batch: MakeBatch
) -> None:
    found = state_of(make_model(name), make_batch(12))

    assert len({key.gate for key in found}) == gates
    by_gate: dict[tuple[str, str], list[float]] = {}
    for row in gate_weights(found):
        by_gate.setdefault((row.gate, row.cohort), []).append(row.mean)
    assert all(sum(means) == pytest.approx(1, abs=1e-5) for means in by_gate.values())


def test_a_row_counts_only_at_gates_that_its_own_groups_cells_need(
    make_model: MakeModel, make_batch: MakeBatch
) -> None:
    found = state_of(make_model("mfh"), make_batch(12))

    cohorts = {gate: {key.cohort for key in found if key.gate == gate} for gate, _, _ in found}
    every = {"all", "user:new", "user:low", "user:high"}
    assert cohorts["trees.by_task.level1.levels.0.click"] == every
    assert cohorts["trees.by_task.level2.click_switcher.levels.1.new"] == {"all", "user:new"}
    assert cohorts["trees.by_user_cohort.level2.low_switcher.levels.1.click"] == {"all", "user:low"}


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_states_of_parts_add_up_in_any_order_to_the_very_same_numbers(places: list[int], random: Any) -> None:
    rng = np.random.default_rng(len(places))
    sums = [GateSums(1, int(w > 0.5), v, v * w, v * w * w) for w, v in rng.random((len(places), 2))]
    parts: list[GateState] = [
        merge({GateKey("g", "e", "all"): own} for own, at in zip(sums, places, strict=True) if at == part)
        for part in range(4)
    ]
    shuffled = random.sample(parts, 4)

    assert merge(shuffled) == merge(parts)
    (total,) = merge(parts).values()
    assert total.rows == len(places)
    assert total.weight == pytest.approx(sum(own.weight for own in sums), rel=1e-12)


def test_observing_a_model_does_not_change_its_outputs(make_model: MakeModel, make_batch: MakeBatch) -> None:
    model, batch = make_model("ple").eval(), make_batch(6)
    before = model(*batch)

    state_of(model, batch)

    assert torch.equal(model(*batch), before)
    assert all(not module._forward_pre_hooks for module in model.modules())
    assert not any(isinstance(module, Mixture) and [*module.state_dict()] for module in model.modules())


def test_rows_of_weight_0_do_not_count(make_model: MakeModel, make_batch: MakeBatch) -> None:
    model, batch = make_model("mfh"), make_batch(6)
    in_group_0 = (batch[2] == 0).numpy()
    some = state_of(model, batch, np.where(in_group_0, 0.0, 1.0))

    assert some
    assert not any(key.cohort == "user:new" and sums.rows > 0 for key, sums in some.items())
    assert state_of(model, batch, np.zeros(6)) == {}


def test_a_dead_expert_is_named_once_however_many_gates_see_it(
    make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model, batch = make_model("ple"), make_batch(20)
    assert collapsed(state_of(model, batch)) == []
    shared = model.get_submodule("network.trunk.levels.0.experts.SHARED_experts.first")
    with torch.no_grad():
        shared.weight[5:] = 0.0  # the second of two experts, five units each
        shared.bias[5:] = -1.0

    found = state_of(model, batch)

    assert collapsed(found) == ["expert SHARED.1 of levels.0 is dead: its output is zero in all 20 rows"]
    share = {row.expert: row.active_share for row in gate_weights(found) if row.gate == "levels.0.click"}
    assert share["SHARED.1"] == 0 < share["SHARED.0"]


def test_an_expert_is_active_where_its_own_output_is_not_all_zeros(
    make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model, batch = make_model("ple"), make_batch(40)
    experts = cast(Experts, model.get_submodule("network.trunk.levels.0.experts.SHARED_experts"))
    with torch.no_grad():
        experts.first.bias[:5] = -0.8  # often dead
        experts.first.weight[5:] = -1e-9
        experts.first.bias[5:] = torch.tensor([-1.0, -1.0, -1.0, -1.0, 0.5])  # alive by a bias alone
        active_BN = (experts(model.input(batch[0], batch[1])) > 0).any(2).numpy()

    rows = gate_weights(state_of(model, batch))

    share = {
        row.expert: row.active_share for row in rows if (row.gate, row.cohort) == ("levels.0.like", "all")
    }
    assert 0 < active_BN[:, 0].mean() < 1
    assert [share["SHARED.0"], share["SHARED.1"]] == active_BN.mean(0).tolist()


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_a_gate_with_nearly_all_weight_on_one_expert_is_named(
    kind: str, make_model: MakeModel, make_batch: MakeBatch, positive: Callable[[nn.Module], nn.Module]
) -> None:
    model = make_model("cgc", trunk={"levels": [LEVEL | {"gate": kind}]})
    batch = make_batch(20)
    positive(model.network).float()
    _, scores_ND = first_gate(model)
    with torch.no_grad():
        model.network.trunk.register_forward_pre_hook(lambda module, x: (x[0].abs() + 1, *x[1:]))
        scores_ND.fill_(-1.0)
        scores_ND[2] = 1.0

    found = collapsed(state_of(model, batch))

    assert len(found) == 1
    assert found[0].startswith("gate levels.0.click gives ")
    assert found[0].endswith("% of its weight to expert SHARED.1")


def test_a_gate_of_one_expert_has_no_choice_and_is_not_named(
    make_model: MakeModel, make_batch: MakeBatch
) -> None:
    model = make_model("mmoe", trunk={"levels": [{"experts": 1, "expert_widths": [5]}]})

    assert collapsed(state_of(model, make_batch(10))) == []


def test_an_expert_that_is_dead_in_one_group_alone_is_not_dead() -> None:
    switcher = "trees.by_task.level2.click_switcher.levels.0"
    state = {
        GateKey(f"{switcher}.new", "SHARED.0", "all"): GateSums(9, 0, 9, 4.5, 3),
        GateKey(f"{switcher}.low", "SHARED.0", "all"): GateSums(9, 5, 9, 4.5, 3),
    }

    assert collapsed(state) == []
