"""Trains a peer's models on Census-Income by bench/census/protocol.py; runs in .venv-peers.

python -m bench.census --peers     writes build/census.npz, then runs this for each peer:
.venv-peers/bin/python -m bench.peers.census {torch-rechub,deepctr-torch} THREADS

Rows, encodings, order of rows, loss (sum of the tasks' mean cross entropy), optimiser and early stopping
are those of our trainings; the peer's own fit() is not used, nor is its L2 penalty, for ours have none.
DeepCTR-Torch's batch norm was chosen before tuning, as our layer norm was: shared bottom once without it
(step "setting" in the results) against the same training with it.
"""

import copy
import sys
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy

from bench.census.protocol import (
    BATCH_ROWS,
    LEARNING_RATES,
    MAX_EPOCHS,
    PARAMETERS,
    PATIENCE,
    TASKS,
    TUNING_SEED,
    train_missing,
)
from bench.peers import PROJECT
from bench.peers.networks import ARCHITECTURES, Network, build, trunk_parameters
from bench.results import Results
from bench.widths import closest_width

DATA = PROJECT / "build" / "census.npz"
RESULTS = Results("census_peers")


class Split:
    """Rows of one split: inputs x (n, C + F), labels (n, K)."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], name: str) -> None:
        # Ids are whole numbers far below 2 ** 24, which float32 holds exactly.
        both = [arrays[f"{name}_ids"], arrays[f"{name}_dense"]]
        self.x = torch.from_numpy(np.concatenate(both, axis=1, dtype=np.float32))
        self.labels = torch.from_numpy(arrays[f"{name}_labels"])

    def auc(self, probabilities: Tensor) -> dict[str, float]:
        """Return the rank AUC of each task."""
        return {
            task: float(roc_auc_score(self.labels[:, k].numpy(), probabilities[:, k].numpy()))
            for k, task in enumerate(TASKS)
        }


class Peer:
    """Trains the models of one peer."""

    def __init__(self, name: str) -> None:
        self.name = name
        arrays = np.load(DATA)
        self.table_rows = arrays["table_rows"].tolist()
        self.dense = arrays["train_dense"].shape[1]
        self.splits = {name: Split(arrays, name) for name in ("train", "validation", "test")}

    def train(
        self, architecture: str, rate: float, seed: int, is_final: bool, batch_norm: bool = True
    ) -> dict[str, Any]:
        """Do one training; a final reads the test split, once."""
        began = time.perf_counter()
        shape = (self.table_rows, self.dense)
        width, parameters = closest_width(
            lambda w: trunk_parameters(build(self.name, architecture, w, *shape, seed, batch_norm)[0]),
            PARAMETERS,
        )
        model, network = build(self.name, architecture, width, *shape, seed, batch_norm)
        losses = fit(model, network, self.splits["train"], self.splits["validation"], rate, seed)
        validation = self.splits["validation"]
        result: dict[str, Any] = {
            "width": width,
            "parameters": parameters,
            "epochs": len(losses),
            "best_epoch": int(np.argmin(losses)) + 1,
            "validation_loss": min(losses),
            "validation_auc": validation.auc(predict(model, network, validation.x)),
            "seconds": round(time.perf_counter() - began, 1),
        }
        if is_final:
            test = self.splits["test"]
            result["test_auc"] = test.auc(predict(model, network, test.x))
        auc = result.get("test_auc", result["validation_auc"])
        print(self.name, architecture, rate, seed, auc, f"{result['seconds']} s", flush=True)
        return result


def fit(
    model: nn.Module, network: Network, train: Split, validation: Split, rate: float, seed: int
) -> list[float]:
    """Train, keep the best epoch's weights, and return the validation loss of each epoch."""
    optimiser = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
    losses: list[float] = []
    best: dict[str, Any] = {}
    for epoch in range(MAX_EPOCHS):
        model.train()
        # The order in which bench/memory.py yields the rows to our models.
        order = torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(len(train.x)))
        x, labels = train.x[order], train.labels[order]
        for x_BC, labels_BK in zip(x.split(BATCH_ROWS), labels.split(BATCH_ROWS), strict=True):
            optimiser.zero_grad()
            loss(network(x_BC), labels_BK).backward()
            optimiser.step()
        losses.append(float(loss(predict(model, network, validation.x).double(), validation.labels.double())))
        if not np.isfinite(losses[-1]):
            raise SystemExit(
                f"epoch {epoch + 1}: the validation loss is {losses[-1]}, a finite one is expected"
            )
        if losses[-1] < min(losses[:-1], default=np.inf):
            best = copy.deepcopy(model.state_dict())
        elif len(losses) - 1 - int(np.argmin(losses)) >= PATIENCE:
            break
    model.load_state_dict(best)
    return losses


def loss(probabilities_BK: Tensor, labels_BK: Tensor) -> Tensor:
    """Return the sum over tasks of the mean cross entropy."""
    return binary_cross_entropy(probabilities_BK, labels_BK) * len(TASKS)


def predict(model: nn.Module, network: Network, x: Tensor, batch_rows: int = 8192) -> Tensor:
    """Return probabilities of rows, (n, K)."""
    model.eval()
    with torch.inference_mode():
        return torch.cat([network(batch) for batch in x.split(batch_rows)])


def main(name: str, threads: int) -> None:
    """Do all trainings of a peer that are not in the results."""
    torch.set_num_threads(threads)
    peer = Peer(name)
    if name == "deepctr-torch":
        rate = LEARNING_RATES[1]
        trial = {"architecture": "shared_bottom", "learning_rate": rate, "seed": TUNING_SEED}
        RESULTS.once(
            {"step": "setting", "peer": name, **trial, "batch_norm": False},
            partial(peer.train, "shared_bottom", rate, TUNING_SEED, is_final=False, batch_norm=False),
        )
    for architecture in ARCHITECTURES:
        train_missing(
            RESULTS, {"peer": name, "architecture": architecture}, partial(peer.train, architecture)
        )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
