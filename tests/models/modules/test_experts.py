"""Stacked experts, the mix of a gate, towers."""

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from models.modules import experts as layers
from models.modules.experts import ExpertOptions, Experts, Gates, run_experts, to_logit
from tests.models import oracles

OPTIONS: list[dict[str, Any]] = [
    {},
    {"norm": "layer"},
    {"activation": "swish"},
    {"feature_gate": 2},
    {"norm": "layer", "activation": "swish", "feature_gate": 3},
]


NORMED = ExpertOptions(norm="layer")


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("widths", [[4], [6, 5], [3, 7, 2]])
def test_stacked_experts_are_separate_networks(widths: list[int], options: dict[str, Any]) -> None:
    stack = Experts(3, 8, widths, ExpertOptions(**options)).double()
    x_BD = torch.randn(5, 8, dtype=torch.float64)
    with torch.no_grad():
        for parameter in [*stack.scales, *stack.shifts]:
            parameter.add_(torch.randn_like(parameter))

    alone = oracles.experts(stack, x_BD)

    torch.testing.assert_close(stack(x_BD), torch.stack(alone, dim=1), rtol=1e-10, atol=1e-10)


def test_swish_is_a_unit_times_its_sigmoid_and_negative_units_learn() -> None:
    stack, x_BD = Experts(1, 1, [1], ExpertOptions(activation="swish")), torch.tensor([[1.0]])
    with torch.no_grad():
        stack.first.weight.fill_(-2.0)
        stack.first.bias.zero_()

    y = stack(x_BD)
    y.sum().backward()

    assert y.item() == pytest.approx(-2 / (1 + math.exp(2)))
    assert stack.first.weight.grad.item() != 0


def test_a_feature_gate_scales_each_input_of_each_expert_between_0_and_2() -> None:
    stack = Experts(2, 2, [1], ExpertOptions(feature_gate=1))
    with torch.no_grad():
        stack.first.weight.copy_(torch.tensor([[1.0, 10.0], [1.0, 10.0]]))
        stack.first.bias.zero_()
        stack.feature_gates[0].fill_(1.0)  # U: the sum of the inputs, 3
        stack.feature_gates[1].copy_(torch.tensor([[[0.0, 100.0]], [[-100.0, 0.0]]]))  # V

    y = stack(torch.tensor([[1.0, 2.0]]))

    assert y.flatten().tolist() == pytest.approx([1 + 2 * 20, 0 + 20])


def test_layers_of_an_expert_start_in_the_range_of_a_plain_linear_layer() -> None:
    stack = Experts(50, 9, [16, 4])

    for parameter, fan_in in [(stack.first.weight, 9), (stack.weights[0], 16), (stack.biases[0], 16)]:
        assert 0.9 * fan_in**-0.5 < parameter.abs().max() <= fan_in**-0.5


def test_normed_stacks_of_one_input_keep_their_own_scales() -> None:
    experts = {"a": Experts(1, 4, [3], NORMED), "b": Experts(2, 4, [3], NORMED)}
    with torch.no_grad():
        experts["b"].scales[0].fill_(7.0)
    x_BD = torch.randn(5, 4)

    together = run_experts(experts, dict.fromkeys(experts, x_BD)).by_branch()

    for branch, stack in experts.items():
        torch.testing.assert_close(together[branch], stack(x_BD))


def test_branches_with_one_input_share_a_product_and_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    experts = {"a": Experts(1, 4, [3]), "b": Experts(2, 4, [3]), "c": Experts(1, 4, [3])}
    same, other = torch.randn(5, 4), torch.randn(5, 4)
    products = []
    linear = layers.F.linear
    monkeypatch.setattr(layers.F, "linear", lambda *args: products.append(len(args[1])) or linear(*args))

    together = run_experts(experts, {"a": same, "b": other, "c": same}).by_branch()

    assert products == [2 * 3, 2 * 3]  # a with c, b alone
    for branch, x_BD in [("a", same), ("b", other), ("c", same)]:
        torch.testing.assert_close(together[branch], experts[branch](x_BD))


def test_a_self_gate_weighs_the_own_experts_once_more_a_single_one_by_a_sigmoid() -> None:
    gates = Gates(1, {"click": 3, "like": 2, "SHARED": 4}, "softmax", own={"click": 2, "like": 1})
    with torch.no_grad():
        for linear in gates.linear.values():
            linear.weight.zero_()
        gates.self_linear["click_gate"].weight.copy_(torch.tensor([[math.log(3)], [0.0]]))
        gates.self_linear["like_gate"].weight.fill_(math.log(3))
    x_BD = dict.fromkeys(("click", "like", "SHARED"), torch.ones(1, 1))

    weights = gates(x_BD, ["click", "like", "SHARED"])

    assert weights["click"].tolist() == [pytest.approx([1 / 3 + 3 / 4, 1 / 3 + 1 / 4, 1 / 3])]
    assert weights["like"].tolist() == [pytest.approx([1 / 2 + 3 / 4, 1 / 2])]
    assert weights["SHARED"].tolist() == [[0.25] * 4]


@pytest.mark.parametrize("widths", [[], [4], [6, 3]])
def test_a_tower_ends_in_one_plain_logit(widths: list[int]) -> None:
    tower = to_logit(5, widths)
    linear = [layer for layer in tower if isinstance(layer, nn.Linear)]

    assert [(layer.in_features, layer.out_features) for layer in linear] == list(pairwise([5, *widths, 1]))
    assert isinstance(tower[-1], nn.Linear)
