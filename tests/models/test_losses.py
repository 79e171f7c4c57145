"""Losses against a plain sum over rows, and exact over ranks (conformance 11)."""

import math

import pytest
import torch
from torch import Tensor

from conf.schema import Task
from models.losses import Normalise, cell_counts, cell_sums, multi_task_loss, task_weights, total_loss

NAN = float("nan")
TASKS = (
    Task(name="click", label="is_click = 1", kind="binary", weight=2.0),
    Task(name="play", label="play_seconds", kind="regression", weight=0.5),
    Task(name="like", label="is_like = 1", kind="binary"),
)
LOGITS = torch.tensor(
    [[0.3, 1.0, -2.0], [-1.0, 0.5, 0.4], [2.0, -3.0, 1.1], [0.1, 0.2, 0.3], [9.0, 9.0, 9.0]]
)
LABELS = torch.tensor([[1.0, 2.5, 0.0], [0.0, 0.75, NAN], [1.0, NAN, NAN], [0.0, 4.0, 1.0], [1.0, 0.0, 1.0]])
MASK = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 1, 1]], dtype=torch.bool)
WEIGHT = torch.tensor([1.0, 3.0, 0.5, 2.0, 0.0])  # the last row is padding
GROUP = torch.tensor([0, 1, 1, 1, 0])
NORMALISE: list[Normalise] = ["per_cell", "per_task", "global"]


def row_loss(i: int, k: int) -> float:
    z, y = LOGITS[i, k].item(), LABELS[i, k].item()
    if k == 1:
        return (z - y) ** 2
    p = 1 / (1 + math.exp(-z))
    return -math.log(p if y == 1 else 1 - p)


def loss_of(rows: list[int], logits: Tensor, counts: Tensor, normalise: Normalise, world_size: int) -> Tensor:
    """The share of one rank that holds these rows."""
    own = (logits[rows], LABELS[rows], MASK[rows], WEIGHT[rows], GROUP[rows])
    return multi_task_loss(*own, TASKS, counts, normalise, world_size=world_size)


def counts_of(rows: list[int], normalise: Normalise, groups: int = 2) -> Tensor:
    return cell_counts(MASK[rows], WEIGHT[rows], GROUP[rows], groups, normalise)


@pytest.mark.parametrize("normalise", NORMALISE)
def test_the_loss_is_what_the_equations_say(normalise: Normalise) -> None:
    terms = {
        (i, k): (WEIGHT[i].item(), row_loss(i, k)) for i in range(4) for k in range(3) if MASK[i, k]
    }  # row 4 weighs nothing

    def mean(k: int, groups: tuple[int, ...]) -> float:
        chosen = [term for (i, own), term in terms.items() if own == k and GROUP[i] in groups]
        return sum(v * loss for v, loss in chosen) / sum(v for v, _ in chosen)

    w = [task.weight for task in TASKS]
    expected = {
        "per_cell": sum(w[k] * (mean(k, (0,)) + mean(k, (1,))) for k in range(3)),
        "per_task": sum(w[k] * mean(k, (0, 1)) for k in range(3)),
        "global": sum(w[k] * v * loss for (_, k), (v, loss) in terms.items()) / len(terms),
    }[normalise]

    rows = list(range(5))
    loss = loss_of(rows, LOGITS, counts_of(rows, normalise), normalise, 1)

    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_counts_are_weights_of_valid_rows_by_cell_and_entries_for_global() -> None:
    rows = list(range(5))

    assert counts_of(rows, "per_cell").tolist() == [[1.0, 5.5], [1.0, 5.0], [1.0, 2.0]]
    assert counts_of(rows, "per_task", groups=1).tolist() == [[6.5], [6.0], [3.0]]
    assert counts_of(rows, "global").tolist() == [[1.0, 3.0], [1.0, 2.0], [1.0, 1.0]]


def test_without_groups_per_cell_and_per_task_are_the_same() -> None:
    rows = list(range(5))
    counts = counts_of(rows, "per_task", groups=1)

    assert torch.equal(
        loss_of(rows, LOGITS, counts, "per_cell", 1), loss_of(rows, LOGITS, counts, "per_task", 1)
    )


def test_a_task_of_weight_zero_does_not_count_in_global() -> None:
    sums, counts = torch.tensor([[6.0], [100.0]]), torch.tensor([[3.0], [50.0]])

    assert total_loss(sums, counts, torch.tensor([1.0, 0.0]), "global").item() == pytest.approx(2.0)


@pytest.mark.parametrize("normalise", NORMALISE)
@pytest.mark.parametrize(
    "ranks",
    [
        [[0, 1], [2, 3]],
        [[3, 0], [2, 1]],
        [[0, 1, 2, 3], [4]],  # the second rank has padding only
        [[0, 3], [1, 2], [4]],  # the second has no valid row of like
        [[2], [0], [1], [3]],
    ],
)
def test_rows_may_fall_on_ranks_as_they_like(normalise: Normalise, ranks: list[list[int]]) -> None:
    alone = LOGITS.clone().requires_grad_()
    rows = list(range(5))
    expected = loss_of(rows, alone, counts_of(rows, normalise), normalise, 1)
    expected.backward()

    counts = torch.stack([counts_of(rows, normalise) for rows in ranks]).sum(0)  # the allreduce
    losses, gradients = [], []
    for rows in ranks:
        own = LOGITS.clone().requires_grad_()
        loss = loss_of(rows, own, counts, normalise, len(ranks))
        loss.backward()
        losses.append(loss.detach())
        gradients.append(own.grad)

    torch.testing.assert_close(torch.stack(losses).mean(), expected.detach())
    torch.testing.assert_close(torch.stack(gradients).mean(0), alone.grad)


@pytest.mark.parametrize("normalise", NORMALISE)
def test_nothing_valid_on_any_rank_is_a_loss_of_zero_with_gradients_of_zero(normalise: Normalise) -> None:
    logits = LOGITS[:2].clone().requires_grad_()
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    labels = torch.full((2, 3), NAN)
    counts = cell_counts(nothing, WEIGHT[:2], GROUP[:2], 2, normalise)

    loss = multi_task_loss(logits, labels, nothing, WEIGHT[:2], GROUP[:2], TASKS, counts, normalise)
    loss.backward()

    assert loss.item() == 0
    assert logits.grad is not None
    assert torch.equal(logits.grad, torch.zeros(2, 3))


@pytest.mark.parametrize("normalise", NORMALISE)
def test_sums_and_counts_of_batches_add_up_to_the_loss_of_all_rows(normalise: Normalise) -> None:
    """How a validation loss is made."""
    rows = list(range(5))
    batches = [[0], [1, 2], [3, 4]]
    sums = sum(cell_sums(LOGITS[b], LABELS[b], MASK[b], WEIGHT[b], GROUP[b], TASKS, 2) for b in batches)
    counts = sum(counts_of(b, normalise) for b in batches)

    loss = total_loss(sums, counts, task_weights(TASKS, 0), normalise)

    torch.testing.assert_close(loss, loss_of(rows, LOGITS, counts_of(rows, normalise), normalise, 1))


@pytest.mark.parametrize("normalise", NORMALISE)
def test_the_loss_does_not_scale_with_the_batch(normalise: Normalise) -> None:
    once, twice = list(range(5)), list(range(5)) * 2

    torch.testing.assert_close(
        loss_of(twice, LOGITS, counts_of(twice, normalise), normalise, 1),
        loss_of(once, LOGITS, counts_of(once, normalise), normalise, 1),
    )


def test_an_unmasked_label_or_a_padded_row_reaches_no_gradient() -> None:
    logits = LOGITS.clone().requires_grad_()
    rows = list(range(5))

    loss_of(rows, logits, counts_of(rows, "per_task"), "per_task", 1).backward()

    assert logits.grad is not None
    assert ((logits.grad != 0) == (MASK & (WEIGHT[:, None] > 0))).all()


def test_the_weight_of_a_task_decays_by_epoch() -> None:
    tasks = [Task(name="a", label="x", kind="binary", weight=4.0, decay=0.5), TASKS[1]]

    assert task_weights(tasks, 0).tolist() == [4.0, 0.5]
    assert task_weights(tasks, 3).tolist() == [0.5, 0.5]
