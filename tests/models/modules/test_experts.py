"""Stacked experts, the mix of a gate, towers."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from models.modules import experts as layers
from models.modules.experts import ExpertOptions, Experts, Norm, run_experts, to_logit
from tests.models import oracles

NORMED = ExpertOptions(norm="layer")


@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("widths", [[4], [6, 5], [3, 7, 2]])
def test_stacked_experts_are_separate_networks(widths: list[int], norm: Norm) -> None:
    stack = Experts(3, 8, widths, ExpertOptions(norm=norm)).double()
    x_BD = torch.randn(5, 8, dtype=torch.float64)
    with torch.no_grad():
        for parameter in [*stack.scales, *stack.shifts]:
            parameter.add_(torch.randn_like(parameter))

    alone = oracles.experts(stack, x_BD)

    torch.testing.assert_close(stack(x_BD), torch.stack(alone, dim=1), rtol=1e-10, atol=1e-10)
    with torch.no_grad():  # another way for each layer's norm
        torch.testing.assert_close(stack(x_BD), torch.stack(alone, dim=1), rtol=1e-10, atol=1e-10)


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


@pytest.mark.parametrize("widths", [[], [4], [6, 3]])
def test_a_tower_ends_in_one_plain_logit(widths: list[int]) -> None:
    tower = to_logit(5, widths)
    linear = [layer for layer in tower if isinstance(layer, nn.Linear)]

    assert [(layer.in_features, layer.out_features) for layer in linear] == list(pairwise([5, *widths, 1]))
    assert isinstance(tower[-1], nn.Linear)
