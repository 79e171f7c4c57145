"""The peers' training loop, on a network of our own: it needs no peer's environment."""

import numpy as np
import torch
from torch import Tensor, nn

from bench.census.protocol import BATCH_ROWS, PATIENCE
from bench.memory import MemoryRows
from bench.peers.census import Split, fit, loss, predict
from bench.peers.networks import trunk_parameters
from models.training.reader import Rows

ROWS = 2500


def to_split(seed: int) -> Split:
    """Return rows whose dense column is the labels by its sign; of a tenth of the rows labels are flipped."""
    random = np.random.default_rng(seed)
    dense = random.normal(size=(ROWS, 1)).astype(np.float32)
    labels = np.concatenate([dense > 0, dense < 0], axis=1) ^ (random.random((ROWS, 1)) < 0.1)
    ids = np.arange(ROWS, dtype=np.int32)[:, None]
    arrays = {"train_ids": ids, "train_dense": dense, "train_labels": labels.astype(np.float32)}
    return Split(arrays, "train")


class Network(nn.Module):
    """Reads the dense column, and remembers the ids that it was trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 2)
        self.batches: list[list[float]] = []

    def forward(self, x_BC: Tensor) -> Tensor:
        if self.training:
            self.batches.append(x_BC[:, 0].tolist())
        return torch.sigmoid(self.linear(x_BC[:, 1:]))


def test_rows_come_in_the_order_in_which_our_models_see_them() -> None:
    train, network = to_split(0), Network()
    ids = np.arange(ROWS, dtype=np.int32)[:, None]
    none, group = np.zeros((ROWS, 2), dtype=np.float32), np.zeros(ROWS, dtype=np.uint8)
    ours = MemoryRows(Rows(ids, none, none, none > 0, none[:, 0], group, group))

    fit(network, network, train, to_split(1), rate=0.01, seed=7)

    expected = [
        batch.categorical[:, 0].tolist()
        for epoch in range(2)
        for batch in ours.shuffled_batches(BATCH_ROWS, window=1, seed=7, epoch=epoch)
    ]
    assert network.batches[: len(expected)] == expected


def test_training_ends_when_the_validation_loss_falls_no_more_and_keeps_the_best_weights() -> None:
    torch.manual_seed(0)
    train, validation, network = to_split(0), to_split(1), Network()

    losses = fit(network, network, train, validation, rate=1.0, seed=1)

    best = int(np.argmin(losses))
    kept = loss(predict(network, network, validation.x).double(), validation.labels.double())
    assert len(losses) == best + 1 + PATIENCE
    assert float(kept) == losses[best] < losses[-1]


def test_the_loss_is_the_sum_of_the_tasks_means() -> None:
    probabilities = torch.tensor([[0.5, 0.25], [0.5, 0.75]])
    labels = torch.tensor([[1.0, 0.0], [0.0, 1.0]])

    assert torch.isclose(
        loss(probabilities, labels), torch.log(torch.tensor(2.0)) + torch.log(torch.tensor(4 / 3))
    )


def test_tables_are_not_counted_as_trunk() -> None:
    model = nn.ModuleDict({"tables": nn.ModuleDict({"c0": nn.Embedding(100, 8)}), "trunk": nn.Linear(8, 2)})

    assert trunk_parameters(model) == 8 * 2 + 2
