"""Losses against a plain sum over rows, and exact over ranks (conformance 11)."""

import math

import pytest
import torch
from torch import Tensor

from core.schema import Task
from models.training.losses import (
    Normalise,
    UncertaintyWeighting,
    cell_counts,
    cell_sums,
    mean_over_rows,
    multi_task_loss,
    task_losses,
    task_weights,
    total_loss,
)

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
def test_the_loss_follows_the_equations(normalise: Normalise) -> None:
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


RANKS = [
    [[0, 1], [2, 3]],
    [[3, 0], [2, 1]],
    [[0, 1, 2, 3], [4]],  # the second rank has padding only
    [[0, 3], [1, 2], [4]],  # the second has no valid row of like
    [[2], [0], [1], [3]],
]


@pytest.mark.parametrize("normalise", NORMALISE)
@pytest.mark.parametrize("ranks", RANKS)
def test_the_loss_does_not_depend_on_how_rows_are_divided_among_ranks(
    normalise: Normalise, ranks: list[list[int]]
) -> None:
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


@pytest.mark.parametrize("ranks", RANKS)
def test_a_mean_over_rows_is_that_of_all_ranks_by_weight(ranks: list[list[int]]) -> None:
    values = torch.tensor([4.0, 1.0, 2.0, 0.5, 1e9])  # the last row is padding
    expected = (1.0 * 4 + 3.0 * 1 + 0.5 * 2 + 2.0 * 0.5) / (1 + 3 + 0.5 + 2)

    total = torch.stack([WEIGHT[rows].sum() for rows in ranks]).sum()  # the allreduce
    shares = [mean_over_rows(values[rows], WEIGHT[rows], total, len(ranks)) for rows in ranks]

    assert torch.stack(shares).mean().item() == pytest.approx(expected)


def test_a_mean_over_rows_that_weigh_nothing_is_zero_with_a_gradient_of_zero() -> None:
    values = torch.tensor([4.0], requires_grad=True)

    mean = mean_over_rows(values, torch.zeros(1), torch.zeros(()))
    mean.backward()

    assert (mean.item(), values.grad.item()) == (0, 0)


@pytest.mark.parametrize("normalise", NORMALISE)
def test_without_a_valid_row_on_any_rank_loss_and_gradients_are_zero(normalise: Normalise) -> None:
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
    """The arguments of a validation loss."""
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


def test_huber_is_half_the_square_up_to_its_width_and_a_line_beyond() -> None:
    task = Task(name="play", label="play_seconds", kind="regression", huber=2.0)
    z, y = torch.tensor([[1.0], [5.0], [-6.0]]), torch.zeros(3, 1)
    of_rows = [torch.ones(3, 1, dtype=torch.bool), torch.ones(3), torch.zeros(3, dtype=torch.long)]

    sums = [
        cell_sums(z[i : i + 1], y[i : i + 1], *(part[i : i + 1] for part in of_rows), [task], 1).item()
        for i in range(3)
    ]

    assert sums == pytest.approx([0.5 * 1**2, 2 * (5 - 1), 2 * (6 - 1)])


def test_huber_of_a_binary_task_is_refused() -> None:
    with pytest.raises(ValueError, match="task click: huber is for regressions, and this task is binary"):
        Task(name="click", label="is_click = 1", kind="binary", huber=1.0)


@pytest.mark.parametrize("normalise", NORMALISE)
def test_uncertainty_weighs_tasks_by_learnt_noise(normalise: Normalise) -> None:
    rows = list(range(5))
    weighting = UncertaintyWeighting(TASKS)
    s = torch.tensor([0.5, -1.0, 2.0])
    with torch.no_grad():
        weighting.log_variance_K.copy_(s)
    sums = cell_sums(LOGITS, LABELS, MASK, WEIGHT, GROUP, TASKS, 2)
    counts, w = counts_of(rows, normalise), task_weights(TASKS, 0)

    loss = weighting(sums, counts, w, normalise)

    click, play, like = task_losses(sums, counts, w, normalise).tolist()
    expected = 2.0 * (math.exp(-0.5) * click + 0.25)
    expected += 0.5 * (math.exp(1.0) * play / 2 - 0.5)
    expected += 1.0 * (math.exp(-2.0) * like + 1.0)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_at_the_best_noise_the_learnt_weight_is_the_inverse_of_twice_the_loss() -> None:
    """d/ds (exp(-s) L + s / 2) = 0 at exp(-s) = 1 / (2 L)."""
    weighting = UncertaintyWeighting(TASKS[:1])
    sums, counts = torch.tensor([[6.0]]), torch.tensor([[3.0]])  # L = 2
    optimiser = torch.optim.SGD(weighting.parameters(), lr=0.5)
    for _ in range(200):
        optimiser.zero_grad()
        weighting(sums, counts, torch.ones(1), "per_task").backward()
        optimiser.step()

    assert weighting.log_variance_K.exp().item() == pytest.approx(2 * 2.0, rel=1e-3)


@pytest.mark.parametrize("normalise", NORMALISE)
def test_epochs_are_compared_at_the_noise_that_makes_the_loss_smallest(normalise: Normalise) -> None:
    weighting = UncertaintyWeighting(TASKS)
    sums = cell_sums(LOGITS, LABELS, MASK, WEIGHT, GROUP, TASKS, 2)
    counts, w = counts_of(list(range(5)), normalise), task_weights(TASKS, 0)

    found = weighting.at_best_noise(sums, counts, w, normalise).item()

    optimiser = torch.optim.LBFGS(weighting.parameters(), lr=1.0, max_iter=100)

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss: Tensor = weighting(sums, counts, w, normalise)
        loss.backward()
        return loss

    optimiser.step(closure)
    assert found == pytest.approx(weighting(sums, counts, w, normalise).item(), abs=1e-4)


def test_the_best_epoch_does_not_depend_on_the_scale_of_a_task() -> None:
    """Click improves by a fifth and play worsens by a tenth, in any unit of play."""
    weighting = UncertaintyWeighting(TASKS)
    counts, w = torch.full((3, 1), 10.0), torch.ones(3)
    gains = []
    for unit in (1.0, 1e4):
        before, after = (torch.tensor([[c], [unit * p], [3.0]]) for c, p in ((5.0, 2.0), (4.0, 2.2)))
        losses = [weighting.at_best_noise(sums, counts, w, "per_task") for sums in (before, after)]
        gains.append((losses[0] - losses[1]).item())
    assert gains[0] == pytest.approx(0.5 * math.log(5 / 4) - 0.5 * math.log(1.1), rel=1e-4)
    assert gains[1] == pytest.approx(gains[0], rel=1e-3)


def test_a_task_without_rows_learns_no_noise() -> None:
    weighting = UncertaintyWeighting(TASKS)
    sums, counts = torch.tensor([[6.0], [0.0], [2.0]]), torch.tensor([[3.0], [0.0], [2.0]])

    weighting(sums, counts, torch.ones(3), "per_task").backward()

    assert [bool(g != 0) for g in weighting.log_variance_K.grad] == [True, False, True]


def test_noise_is_learnt_alike_on_one_rank_and_on_two() -> None:
    alone, shared = UncertaintyWeighting(TASKS), UncertaintyWeighting(TASKS)
    counts, w = counts_of(list(range(5)), "per_task"), task_weights(TASKS, 0)
    sums = [
        cell_sums(LOGITS[r], LABELS[r], MASK[r], WEIGHT[r], GROUP[r], TASKS, 2) for r in ([0, 3], [1, 2, 4])
    ]

    alone(sums[0] + sums[1], counts, w, "per_task").backward()
    for own in sums:
        (shared(own, counts, w, "per_task", world_size=2) / 2).backward()

    torch.testing.assert_close(shared.log_variance_K.grad, alone.log_variance_K.grad)
