"""PLE and CGC against a plain loop over experts, written as the paper's equations are (conformance 4, 8)."""

from typing import Any

import pytest
import torch

from core.errors import ConfigError
from models.architectures.ple import PleConfig, PleTrunk
from tests.models import oracles

TASKS = ("click", "click_buy", "like")


def level(
    tasks: int | dict[str, int], shared: int, widths: list[int], gate: str = "softmax"
) -> dict[str, Any]:
    return {"task_experts": tasks, "shared_experts": shared, "expert_widths": widths, "gate": gate}


SHAPES = {
    "one level": [level(2, 2, [5])],
    "shared more than specific": [level(1, 4, [5]), level(1, 3, [6])],
    "shared fewer than specific": [level(4, 1, [5]), level(3, 1, [6])],
    "unequal by task and level": [
        level({"click": 1, "click_buy": 3, "like": 2}, 2, [5]),
        level({"click": 2, "click_buy": 1, "like": 4}, 1, [4]),
        level(1, 1, [3]),
    ],
    "deep experts": [level(2, 1, [7, 5]), level(1, 2, [6, 5, 4])],
    "sigmoid gates": [level(2, 1, [5], "sigmoid"), level(1, 2, [4], "sigmoid")],
    "normed": [level(2, 1, [7, 5]) | {"norm": "layer"}, level(1, 2, [4]) | {"norm": "layer"}],
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_stacked_experts_equal_a_plain_loop_forward_and_backward(shape: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    trunk = PleTrunk(6, TASKS, PleConfig(levels=SHAPES[shape])).to(dtype)
    x_BD = torch.randn(9, 6, dtype=dtype, requires_grad=True)
    tolerance = {"rtol": 1e-10, "atol": 1e-10} if dtype == torch.float64 else {}

    stacked, looped = trunk(x_BD), oracles.ple(trunk, x_BD)

    assert list(stacked) == list(TASKS)
    of = [x_BD, *trunk.parameters()]
    for task in TASKS:
        torch.testing.assert_close(stacked[task], looped[task], **tolerance)
        ours, plain = (
            torch.autograd.grad(y.square().mean(), of, retain_graph=True, materialize_grads=True)
            for y in (stacked[task], looped[task])
        )
        torch.testing.assert_close(ours, plain, **tolerance)


@pytest.mark.parametrize("shape", SHAPES)
def test_wanted_tasks_alone_are_the_same_as_among_all(shape: str) -> None:
    trunk = PleTrunk(6, TASKS, PleConfig(levels=SHAPES[shape])).double()
    x_BD = torch.randn(9, 6, dtype=torch.float64)

    some = trunk(x_BD, ["like", "click"])

    assert list(some) == ["like", "click"]
    for task in some:
        torch.testing.assert_close(some[task], trunk(x_BD)[task])


def test_a_compiled_trunk_is_one_graph_with_the_same_outputs_and_gradients() -> None:
    trunk = PleTrunk(6, TASKS, PleConfig(levels=SHAPES["unequal by task and level"])).double()
    x_BD = torch.randn(9, 6, dtype=torch.float64)
    compiled = torch.compile(trunk, backend="aot_eager", fullgraph=True)

    ours, plain = (run(x_BD) for run in (compiled, trunk))

    torch.testing.assert_close(ours, plain)
    of_ours, of_plain = (
        torch.autograd.grad(sum(y.square().sum() for y in outputs.values()), trunk.parameters())
        for outputs in (ours, plain)
    )
    torch.testing.assert_close(of_ours, of_plain)


def test_experts_by_task_must_name_exactly_the_tasks() -> None:
    config = PleConfig(levels=[level({"click": 1, "likes": 2, "click_buy": 1}, 1, [5])])

    with pytest.raises(
        ConfigError, match=r"levels\.0\.task_experts names \['click', 'click_buy', 'likes'\].*'like'"
    ):
        PleTrunk(6, TASKS, config)
