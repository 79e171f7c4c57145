"""POSO, PEPNet and Biasnet against their equations, by perturbation and by gradient."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from core.errors import ConfigError
from models.architectures.biasnet import BiasnetConfig, BiasnetTrunk
from models.architectures.pepnet import PepnetConfig, PepnetTrunk
from models.architectures.poso import PosoConfig, PosoTrunk
from models.modules.columns import Layout
from models.modules.gate_unit import GateUnit
from models.modules.trunk import Trunk
from tests.models.oracles import expert
from tests.models.test_trunks import assert_equal, perturbed, x_of

TASKS = ("click", "like", "share")
LAYOUT = Layout(6, {"age": slice(0, 1), "cohort": slice(1, 3), "item": slice(3, 5), "hour": slice(5, 6)})
COHORT = ["cohort", "age"]
MAIN = {"kind": "shared_bottom", "trunk": {"widths": [4]}}


def gates(unit: GateUnit, code: Tensor, x: Tensor | None = None) -> Tensor:
    """2 sigmoid(relu(z W1 + b1) W2 + b2), z the code, or the code and x."""
    hidden = F.linear(code, unit.own.weight, unit.own.bias)
    if x is not None:
        hidden = hidden + F.linear(x, unit.all.weight)
    return 2 * torch.sigmoid(F.linear(torch.relu(hidden), unit.out.weight, unit.out.bias))


def cohort_of(x: Tensor) -> Tensor:
    return torch.cat([x[:, 1:3], x[:, 0:1]], dim=1)


def poso(widths: tuple[int, ...] = (7, 4), norm: str = "none") -> PosoTrunk:
    config = PosoConfig(widths=widths, norm=norm, gate_width=3, reads=COHORT)
    return perturbed(PosoTrunk(LAYOUT, TASKS, config))


def pepnet(**columns: Any) -> PepnetTrunk:
    return perturbed(PepnetTrunk(LAYOUT, TASKS, PepnetConfig(widths=(7, 4), gate_width=3, **columns)))


# --- POSO ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_poso_weighs_each_unit_of_each_layer(norm: str) -> None:
    trunk, x = poso(norm=norm), x_of()

    y = x
    for layer, unit in zip(trunk.layers, trunk.gates, strict=True):
        y = gates(unit, cohort_of(x)) * expert(layer, 0, y)

    assert_equal(trunk, dict.fromkeys(TASKS, y), x)


def test_poso_whose_sigmoids_are_one_half_is_a_shared_bottom() -> None:
    """C = 2."""
    trunk, x = poso(), x_of()
    for unit in trunk.gates:
        torch.nn.init.zeros_(unit.out.weight)
        torch.nn.init.zeros_(unit.out.bias)

    y = expert(trunk.layers[1], 0, expert(trunk.layers[0], 0, x))

    torch.testing.assert_close(trunk(x)["click"], y)


def test_gates_read_the_named_columns_and_no_others() -> None:
    trunk, x = poso(), x_of()
    before = trunk.gates[0](x)

    for column in range(6):
        moved = x.clone()
        moved[:, column] += 1
        assert torch.equal(trunk.gates[0](moved), before) == (column > 2)


# --- PEPNet -------------------------------------------------------------------------------------


def test_epnet_weighs_the_input_vector() -> None:
    trunk, x = pepnet(domain=COHORT), x_of()
    assert not trunk.takes_pairs

    weighed = gates(trunk.inputs, cohort_of(x), x) * x

    own = [{task: layers[f"{task}_layer"] for task in TASKS} for layers in trunk.layers]
    assert_equal(trunk, {t: expert(own[1][t], 0, expert(own[0][t], 0, weighed)) for t in TASKS}, x)


@pytest.mark.parametrize("domain", [[], COHORT])
def test_ppnet_weighs_the_layers_of_each_task_from_the_prior(domain: list[str]) -> None:
    trunk, x = pepnet(domain=domain, prior=["item"]), x_of()

    weighed = gates(trunk.inputs, cohort_of(x), x) * x if domain else x
    expected = {}
    for task in TASKS:
        first, second = gates(trunk.gates[f"{task}_gates"], weighed[:, 3:5], weighed).split([7, 4], dim=1)
        hidden = first * expert(trunk.layers[0][f"{task}_layer"], 0, weighed)
        expected[task] = second * expert(trunk.layers[1][f"{task}_layer"], 0, hidden)

    assert_equal(trunk, expected, x)


@pytest.mark.parametrize(("key", "columns"), [("domain", [0, 1, 2]), ("prior", [3, 4])])
def test_gradients_of_gates_stop_at_the_vector_but_not_at_the_columns_that_they_read(
    key: str, columns: list[int]
) -> None:
    trunk = pepnet(**{key: COHORT if key == "domain" else ["item"]})
    unit = trunk.inputs if key == "domain" else trunk.gates["click_gates"]
    x = x_of().requires_grad_()

    unit(x).sum().backward()

    assert unit.all.weight.grad.any()
    assert x.grad.any(dim=0).nonzero().flatten().tolist() == columns


def test_a_task_moves_its_own_layers_and_gates() -> None:
    trunk = pepnet(prior=["item"])

    trunk(x_of())["click"].sum().backward()

    for name, parameter in trunk.named_parameters():
        assert (parameter.grad is not None and bool(parameter.grad.any())) == ("click" in name), name


def test_pepnet_without_any_gate_is_refused() -> None:
    with pytest.raises(ValueError, match="domain and prior are empty"):
        PepnetConfig(widths=(4,), gate_width=3)


# --- Biasnet ------------------------------------------------------------------------------------


def test_biasnet_adds_to_the_logit_of_each_task() -> None:
    config = BiasnetConfig(main=MAIN, reads=COHORT, bias_tower=(5,))
    trunk, x = perturbed(BiasnetTrunk(LAYOUT, TASKS, config)), x_of()
    of_towers = {task: torch.randn(5, 1, dtype=torch.float64) for task in TASKS}
    first, last = trunk.bias[0], trunk.bias[2]

    bias = F.linear(torch.relu(F.linear(cohort_of(x), first.weight, first.bias)), last.weight, last.bias)

    assert_equal(trunk, dict.fromkeys(TASKS, expert(trunk.main.bottom, 0, x)), x)
    for k, task in enumerate(TASKS):
        torch.testing.assert_close(trunk.link(of_towers, x)[task], of_towers[task] + bias[:, k, None])
        only = trunk.link({task: of_towers[task]}, x)
        torch.testing.assert_close(only, {task: of_towers[task] + bias[:, k, None]})


# --- columns ------------------------------------------------------------------------------------

MAKERS: dict[str, Callable[[list[str]], Trunk]] = {
    "reads": lambda names: PosoTrunk(LAYOUT, TASKS, PosoConfig(widths=(4,), gate_width=3, reads=names)),
    "domain": lambda names: pepnet(domain=names),
    "prior": lambda names: pepnet(prior=names),
}


@pytest.mark.parametrize("key", MAKERS)
def test_unknown_and_repeated_columns_are_refused(key: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"{key} names \['cohrt'\], which are no inputs; inputs are \['age'"
    ):
        MAKERS[key](["cohrt", "age"])
    with pytest.raises(ConfigError, match=f"{key} names a column twice"):
        MAKERS[key](["age", "age"])
