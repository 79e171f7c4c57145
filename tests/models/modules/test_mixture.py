"""Mixtures against a plain weighted sum, forward and backward, for any shape and any number of row blocks."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from models.modules import mixture
from models.modules.mixture import ExpertOutputs

SEES = {"click": ["click", "shared"], "like": ["like", "shared"], "shared": ["click", "like", "shared"]}


def outputs_of(
    stacks: Sequence[Tensor],
    branches: Sequence[Mapping[str, int]],
    biases: Sequence[Tensor] | None = None,
) -> ExpertOutputs:
    """As experts return them: not leaves; biases of 0 by default."""
    biases = [stack.new_zeros(stack.shape[1:]) for stack in stacks] if biases is None else biases
    return ExpertOutputs([stack * 1.0 for stack in stacks], biases, branches)


def test_a_mix_is_the_weighted_sum_over_the_experts_of_all_branches_seen() -> None:
    of_a, of_b = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.tensor([[[10.0, 20.0]]])
    outputs = outputs_of([of_a, of_b], [{"a": 2}, {"b": 1}])

    mixed = outputs.mix(
        {"both": torch.tensor([[0.5, 2.0, 0.1]]), "one": torch.tensor([[3.0]])},
        {"both": ["a", "b"], "one": ["b"]},
    )

    torch.testing.assert_close(mixed["both"], torch.tensor([[0.5 + 6 + 1, 1.0 + 8 + 2]]))
    torch.testing.assert_close(mixed["one"], torch.tensor([[30.0, 60.0]]))


def plain(
    outputs: ExpertOutputs, weights: dict[str, Tensor], sees: dict[str, list[str]]
) -> dict[str, Tensor]:
    of_branch = outputs.by_branch()
    seen = {gate: torch.cat([of_branch[b] for b in branches], dim=1) for gate, branches in sees.items()}
    return {gate: (w[:, :, None] * seen[gate]).sum(1) for gate, w in weights.items()}


@settings(max_examples=60)
@given(
    counts=st.tuples(*[st.integers(1, 3)] * 3),
    rows=st.integers(1, 9),
    block=st.integers(1, 4),
    gates=st.sets(st.sampled_from(sorted(SEES)), min_size=1),
    is_one_stack=st.booleans(),
    small_product=st.sampled_from([0, mixture.SMALL_PRODUCT]),
)
def test_any_mix_and_its_gradients_are_those_of_a_plain_sum(
    counts: tuple[int, int, int],
    rows: int,
    block: int,
    gates: set[str],
    is_one_stack: bool,
    small_product: int,
) -> None:
    torch.manual_seed(rows)
    branches = dict(zip(("click", "like", "shared"), counts, strict=True))
    in_stacks = [branches] if is_one_stack else [{name: n} for name, n in branches.items()]
    sizes = [sum(own.values()) for own in in_stacks]
    new = {"dtype": torch.float64, "requires_grad": True}
    stacks = [torch.randn(rows, n, 4, **new) for n in sizes]
    biases = [torch.randn(n, 4, **new) for n in sizes]
    weights = {gate: torch.randn(rows, sum(branches[b] for b in SEES[gate]), **new) for gate in sorted(gates)}
    sees = {gate: SEES[gate] for gate in weights}
    of = [*stacks, *biases, *weights.values()]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixture, "ROWS_AT_ONCE", block)
        patch.setattr(mixture, "SMALL_PRODUCT", small_product)
        ours = outputs_of(stacks, in_stacks, biases).mix(weights, sees)
        loss = sum(y.square().sum() for y in ours.values())
        # The first pass keeps the graph, the second one may use the memory of what it has saved.
        grads, again = (
            torch.autograd.grad(loss, of, retain_graph=keeps, materialize_grads=True)
            for keeps in (True, False)
        )

    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        few = outputs_of(stacks, in_stacks, biases).mix(weights, sees)
        patch.setattr(mixture, "FEW_TERMS", 0)
        many = outputs_of(stacks, in_stacks, biases).mix(weights, sees)

    expected = plain(outputs_of(stacks, in_stacks, biases), weights, sees)
    torch.testing.assert_close(few, {gate: y.detach() for gate, y in expected.items()})
    torch.testing.assert_close(many, few)
    plain_grads = torch.autograd.grad(
        sum(y.square().sum() for y in expected.values()), of, materialize_grads=True, allow_unused=True
    )
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(grads, plain_grads)
    torch.testing.assert_close(again, plain_grads)


def test_experts_are_mixed_after_their_bias_and_relu() -> None:
    raw, bias = torch.tensor([[[-3.0, 2.0]]], requires_grad=True), torch.tensor([[1.0, 1.0]])

    mixed = outputs_of([raw], [{"a": 1}], [bias]).mix({"gate": torch.tensor([[5.0]])}, {"gate": ["a"]})
    mixed["gate"].sum().backward()

    assert mixed["gate"].tolist() == [[0.0, 15.0]]
    assert raw.grad.tolist() == [[[0.0, 5.0]]]


def test_an_expert_that_no_gate_sees_has_a_gradient_of_zero() -> None:
    stack = torch.rand(3, 2, 4, requires_grad=True)
    outputs = outputs_of([stack], [{"seen": 1, "unseen": 1}])

    outputs.mix({"gate": torch.ones(3, 1)}, {"gate": ["seen"]})["gate"].sum().backward()

    assert torch.equal(stack.grad[:, 0], torch.ones(3, 4))
    assert torch.equal(stack.grad[:, 1], torch.zeros(3, 4))


def test_another_reader_of_a_stack_cannot_go_backward_through_what_was_overwritten() -> None:
    raw = torch.rand(3, 1, 4, requires_grad=True)
    outputs = outputs_of([raw], [{"a": 1}])
    squares = outputs.stacks[0].square()

    mixed = outputs.mix({"gate": torch.ones(3, 1)}, {"gate": ["a"]})["gate"]

    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        (mixed.sum() + squares.sum()).backward()


def mix_two(raw: Tensor, weights: Tensor) -> Tensor:
    """One gate over an own and a shared expert, another over the shared one alone."""
    outputs = ExpertOutputs([raw * 1.0], [torch.zeros(2, 4)], [{"own": 1, "shared": 1}])
    mixed = outputs.mix({"a": weights, "b": weights[:, :1]}, {"a": ["own", "shared"], "b": ["shared"]})
    return mixed["a"].square().sum() + mixed["b"].sum()


def gradients_of(run: Callable[..., Tensor]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(5)
    of = [torch.rand(*shape, generator=generator).requires_grad_() for shape in ((6, 2, 4), (6, 2))]
    run(*of).backward()
    return [cast(Tensor, tensor.grad) for tensor in of]


def test_a_compiled_mix_has_the_same_gradients_in_one_graph() -> None:
    compiled = torch.compile(mix_two, backend="aot_eager", fullgraph=True)

    torch.testing.assert_close(gradients_of(compiled), gradients_of(mix_two))


def test_a_compiler_can_trace_the_forward_pass_of_the_function_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Forward alone: backward asks autograd whether it is the last one, which no graph can hold."""
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: False)
    generator = torch.Generator().manual_seed(5)
    of = [torch.rand(*shape, generator=generator) for shape in ((6, 2, 4), (6, 2))]

    compiled = torch.compile(mix_two, backend="eager", fullgraph=True)

    torch.testing.assert_close(compiled(*of), mix_two(*of))


def test_non_reentrant_checkpointing_leaves_the_gradients_as_they_are() -> None:
    checkpointed = partial(checkpoint, mix_two, use_reentrant=False)

    torch.testing.assert_close(gradients_of(checkpointed), gradients_of(mix_two))


def test_bias_gradients_over_many_blocks_are_those_of_autograd_in_bfloat16() -> None:
    generator = torch.Generator().manual_seed(5)
    rows = 64 * mixture.ROWS_AT_ONCE
    stack = torch.randn(rows, 2, 8, generator=generator).bfloat16()
    weights = {"gate": torch.rand(rows, 2, generator=generator).bfloat16()}
    biases = [torch.zeros(2, 8, dtype=torch.bfloat16, requires_grad=True) for _ in range(2)]
    ours, by_autograd = (outputs_of([stack], [{"a": 2}], [bias]) for bias in biases)

    ours.mix(weights, {"gate": ["a"]})["gate"].sum().backward()
    plain(by_autograd, weights, {"gate": ["a"]})["gate"].sum().backward()

    torch.testing.assert_close(biases[0].grad, biases[1].grad, rtol=1e-3, atol=0)


def test_the_backward_pass_of_an_empty_batch_has_gradients_of_zero() -> None:
    raw, bias = torch.rand(0, 2, 4, requires_grad=True), torch.rand(2, 4, requires_grad=True)

    outputs_of([raw], [{"a": 2}], [bias]).mix({"gate": torch.ones(0, 2)}, {"gate": ["a"]})[
        "gate"
    ].sum().backward()

    assert raw.grad.shape == (0, 2, 4)
    assert torch.equal(bias.grad, torch.zeros(2, 4))


@pytest.mark.parametrize("view", [lambda leaf: leaf, lambda leaf: leaf.view(1, 1, 2)], ids=["leaf", "view"])
def test_a_stack_that_is_a_leaf_keeps_its_values_and_gets_its_gradient(
    view: Callable[[Tensor], Tensor],
) -> None:
    leaf = torch.tensor([[[-3.0, 2.0]]], requires_grad=True)
    outputs = ExpertOutputs([view(leaf)], [torch.tensor([[1.0, 1.0]])], [{"a": 1}])

    outputs.mix({"gate": torch.tensor([[5.0]])}, {"gate": ["a"]})["gate"].sum().backward()

    assert leaf.tolist() == [[[-3.0, 2.0]]]
    assert leaf.grad.tolist() == [[[0.0, 5.0]]]


def test_a_stack_that_is_a_leaf_keeps_its_values_where_no_gradient_is_asked_for() -> None:
    leaf = torch.tensor([[[-3.0, 2.0]]], requires_grad=True)

    with torch.no_grad():
        outputs = ExpertOutputs([leaf.view(1, 1, 2)], [torch.tensor([[1.0, 1.0]])], [{"a": 1}])
        outputs.mix({"gate": torch.tensor([[5.0]])}, {"gate": ["a"]})

    assert leaf.tolist() == [[[-3.0, 2.0]]]
