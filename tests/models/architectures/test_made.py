"""STAR and MLoRA, whose cells are made of common terms, against their equations."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.errors import ConfigError
from models.architectures.mlora import MloraConfig, MloraTrunk
from models.architectures.star import StarConfig, StarTrunk
from models.modules.experts import Experts
from models.modules.made import fold
from models.modules.network import Network
from tests.models.conftest import make_positive
from tests.models.test_trunks import perturbed, x_of

FACETS = {"task": ("click", "like"), "user_cohort": ("new", "low", "high")}
CELLS = [f"{task}|{cohort}" for task in FACETS["task"] for cohort in FACETS["user_cohort"]]
WIDTHS = (7, 4)
TOWER = (3,)


def network_of(kind: str, norm: str = "none") -> Network:
    """As built, in double."""
    torch.manual_seed(1)
    common: dict[str, Any] = {"facets": ["user_cohort"], "widths": WIDTHS, "norm": norm}
    trunk = (
        StarTrunk(6, FACETS, StarConfig(**common, auxiliary_width=5))
        if kind == "star"
        else MloraTrunk(6, FACETS, MloraConfig(**common, rank=2))
    )
    return Network(trunk, FACETS["task"], TOWER, {}).double()


def moved(kind: str, norm: str = "none") -> Network:
    network = network_of(kind, norm)
    perturbed(network)  # type: ignore[arg-type]
    return network


def layers_of(shared: Experts) -> list[tuple[Tensor, Tensor]]:
    """(weight, bias) of each layer of one expert, as F.linear takes them."""
    later = zip(shared.weights, shared.biases, strict=True)
    return [(shared.first.weight, shared.first.bias), *((w[0].T, b[0, 0]) for w, b in later)]


def act(y: Tensor, norm: tuple[Tensor, Tensor] | None) -> Tensor:
    return torch.relu(y if norm is None else F.layer_norm(y, (y.shape[1],), *norm))


def norms_of(shared: Experts) -> list[tuple[Tensor, Tensor]]:
    return [(scale[0], shift[0]) for scale, shift in zip(shared.scales, shared.shifts, strict=True)]


def star(network: Network, cell: str, x: Tensor) -> Tensor:
    """Logits of a cell, (B,), from the equations of models/architectures/star.py."""
    trunk, (task, group) = network.trunk, cell.split("|")
    own, norms = trunk.own[f"{group}_layers"], norms_of(trunk.shared)
    y = x
    for j, (weight, bias) in enumerate(layers_of(trunk.shared)):
        factor = own.weights[j] if j == 0 else own.weights[j][0].T
        norm = (norms[j][0] * own.scales[j][0], norms[j][1] + own.shifts[j][0]) if norms else None
        y = act(F.linear(y, weight * factor, bias + own.biases[j][0]), norm)
    shared, tower = trunk.task_towers[f"{task}_tower"], network.towers[f"{cell}_tower"]
    y = torch.relu(F.linear(y, shared[0].weight * tower[0].weight, shared[0].bias + tower[0].bias))
    y = F.linear(y, shared[2].weight * tower[2].weight, shared[2].bias + tower[2].bias)
    hidden = torch.relu(F.linear(x, trunk.auxiliary.first.weight) + trunk.auxiliary.own[f"{group}_bias"])
    beside = F.linear(hidden, trunk.auxiliary.out.weight, trunk.auxiliary.out.bias)
    return y[:, 0] + beside[:, FACETS["task"].index(task)]


def mlora(network: Network, cell: str, x: Tensor) -> Tensor:
    """Logits of a cell, (B,), from the equations of models/architectures/mlora.py."""
    trunk = network.trunk
    own, norms = trunk.own[f"{cell}_layers"], norms_of(trunk.shared)
    y = x
    for j, (weight, bias) in enumerate(layers_of(trunk.shared)):
        low = own.residuals[j].up_HR @ own.residuals[j].down_RJ
        y = act(F.linear(y, weight + low, bias + own.biases[j][0]), norms[j] if norms else None)
    shared, tower = (
        trunk.task_towers[f"{cell.split('|', maxsplit=1)[0]}_tower"],
        network.towers[f"{cell}_tower"],
    )
    for j in (0, 2):
        residual = tower[j].residual
        low = residual.up_HR @ residual.down_RJ
        y = F.linear(y, shared[j].weight + low, shared[j].bias + tower[j].bias)
        y = torch.relu(y) if j == 0 else y
    return y[:, 0]


LOOPS: dict[str, Callable[[Network, str, Tensor], Tensor]] = {"star": star, "mlora": mlora}


@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("kind", LOOPS)
def test_every_cell_is_its_equation(kind: str, norm: str) -> None:
    network, x = moved(kind, norm), x_of()

    logits_BKG = network(x)

    for k, task in enumerate(FACETS["task"]):
        for g, cohort in enumerate(FACETS["user_cohort"]):
            expected = LOOPS[kind](network, f"{task}|{cohort}", x)
            torch.testing.assert_close(logits_BKG[:, k, g], expected, rtol=1e-10, atol=1e-10)
            torch.testing.assert_close(network.for_group(x, g)[:, k], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", LOOPS)
def test_all_cells_of_a_task_start_as_the_shared_network(kind: str) -> None:
    network, x = network_of(kind, "layer"), x_of()
    if kind == "star":  # the auxiliary network knows the cohort from the start
        nn.init.zeros_(network.trunk.auxiliary.out.weight)

    new, low, high = network(x).unbind(2)

    torch.testing.assert_close(new, low, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(new, high, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("kind", LOOPS)
def test_folded_for_scoring_it_gives_the_same_numbers_with_plain_layers(kind: str, norm: str) -> None:
    network, x = moved(kind, norm), x_of()
    before = network(x)

    fold(network)

    torch.testing.assert_close(network(x), before, rtol=1e-12, atol=1e-12)
    assert all(type(layer) in (nn.Linear, nn.ReLU) for tower in network.towers.values() for layer in tower)
    assert not any(parameter.requires_grad for parameter in network.towers.parameters())


@pytest.mark.parametrize("kind", LOOPS)
def test_a_cell_moves_what_is_its_own_and_what_is_shared(kind: str) -> None:
    network = network_of(kind)
    make_positive(network)  # no ReLU is dead

    network(x_of().abs() + 0.1)[:, 0, 1].sum().backward()  # click of low

    got = {name for name, p in network.named_parameters() if p.grad is not None and bool(p.grad.any())}
    own = "trunk.own.low_layers" if kind == "star" else "trunk.own.click|low_layers"
    assert any(name.startswith(own) for name in got)
    for name in got:
        if name.startswith("trunk.own."):
            assert name.startswith(own)
        if name.startswith("towers."):
            assert name.startswith("towers.click|low_tower")
        if name.startswith("trunk.task_towers."):
            assert name.startswith("trunk.task_towers.click_tower")
    assert {"trunk.shared.first.weight", "trunk.task_towers.click_tower.0.weight"} <= got


@pytest.mark.parametrize("kind", LOOPS)
def test_a_shared_term_is_stored_once(kind: str) -> None:
    """safetensors refuses memory that two names share."""
    weights = network_of(kind).state_dict()

    assert len({tensor.data_ptr() for tensor in weights.values()}) == len(weights)


@pytest.mark.parametrize("kind", LOOPS)
def test_towers_of_unequal_shape_are_refused(kind: str) -> None:
    trunk = network_of(kind).trunk
    with pytest.raises(ConfigError, match=r"towers: \['like\|new'\] have other widths than click\|new"):
        trunk.make_towers(dict.fromkeys(CELLS, (3,)) | {"like|new": (2,)})


def test_a_residual_of_mlora_is_zero_at_the_start_with_a_gradient_that_is_not() -> None:
    network = network_of("mlora")

    network(x_of()).square().sum().backward()

    for name, parameter in network.named_parameters():
        if "up_HR" in name:
            assert not parameter.any()
            assert parameter.grad.any(), name
