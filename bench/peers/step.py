"""PLE of a peer library on the rows of bench/step_data.py; runs in .venv-peers, without other code of ours.

.venv-peers/bin/python -m bench.peers.step time {torch-rechub,deepctr-torch} REPEATS THREADS
.venv-peers/bin/python -m bench.peers.step loss {torch-rechub,deepctr-torch} STEPS THREADS SEED

`time` prints the median seconds of training steps and of a prediction, `loss` what bench.equal_steps asks
for, as JSON. Each peer has its defaults but for the sizes: batch normalisation in torch-rechub, a hidden
layer in the gates of DeepCTR-Torch left out. Loss and optimiser are those of ours: mean cross entropy, and
fused Adam, which neither peer's own training has.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from bench.peers.stand_in import stand_in_for_tensorflow
from bench.step_data import (
    COLUMNS,
    DIM,
    EXPERTS,
    HELD_OUT_ROWS,
    HELD_OUT_STEP,
    IDS,
    TASKS,
    TOWER,
    WIDTH,
    Rows,
    Stream,
)

Network = Callable[[Tensor, Tensor], Tensor]
"""Ids (B, C) and dense values (B, C) -> probabilities (B, K)."""


def rechub() -> tuple[nn.Module, Network]:
    """Return PLE of torch-rechub, and what calls it."""
    from torch_rechub.basic.features import DenseFeature, SparseFeature
    from torch_rechub.models.multi_task import PLE

    features = [SparseFeature(f"c{n}", vocab_size=IDS, embed_dim=DIM) for n in range(COLUMNS)]
    features += [DenseFeature(f"d{n}") for n in range(COLUMNS)]
    model = PLE(
        features,
        ["classification"] * TASKS,
        n_level=2,
        n_expert_specific=EXPERTS,
        n_expert_shared=EXPERTS,
        expert_params={"dims": [WIDTH]},
        tower_params_list=[{"dims": [*TOWER]}] * TASKS,
    )

    def network(ids: Tensor, dense: Tensor) -> Tensor:
        columns = {f"c{n}": ids[:, n] for n in range(COLUMNS)} | {
            f"d{n}": dense[:, n] for n in range(COLUMNS)
        }
        return cast(Tensor, model(columns))

    return model, network


def deepctr() -> tuple[nn.Module, Network]:
    """Return PLE of DeepCTR-Torch, and what calls it."""
    stand_in_for_tensorflow()
    from deepctr_torch.inputs import DenseFeat, SparseFeat
    from deepctr_torch.models import PLE

    columns = [SparseFeat(f"c{n}", vocabulary_size=IDS, embedding_dim=DIM) for n in range(COLUMNS)]
    columns += [DenseFeat(f"d{n}", 1) for n in range(COLUMNS)]
    model = PLE(
        columns,
        shared_expert_num=EXPERTS,
        specific_expert_num=EXPERTS,
        num_levels=2,
        expert_dnn_hidden_units=(WIDTH,),
        gate_dnn_hidden_units=(),
        tower_dnn_hidden_units=TOWER,
        task_types=["binary"] * TASKS,
        task_names=[f"t{n}" for n in range(TASKS)],
        seed=torch.initial_seed(),  # the constructor sets torch's seed itself, to 1024 otherwise
    )
    return model, lambda ids, dense: model(torch.cat([ids.float(), dense], dim=1))


class Peer:
    """A peer's model in training."""

    def __init__(self, name: str, seed: int, is_fused: bool = True) -> None:
        torch.manual_seed(seed)
        self.model, self.network = rechub() if name == "torch-rechub" else deepctr()
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=0.001, fused=is_fused)

    def train(self, rows: Rows) -> None:
        """Do one training step."""
        self.optimiser.zero_grad()
        (self.loss(rows) * TASKS).backward()
        self.optimiser.step()

    def predict(self, rows: Rows) -> None:
        """Do one forward pass."""
        with torch.inference_mode():
            self._probabilities(rows)

    def loss(self, rows: Rows) -> Tensor:
        """Return the loss, mean over tasks."""
        return nn.functional.binary_cross_entropy(self._probabilities(rows), torch.from_numpy(rows.labels))

    def _probabilities(self, rows: Rows) -> Tensor:
        return self.network(torch.from_numpy(rows.ids), torch.from_numpy(rows.dense))


def times(name: str, repeats: int) -> dict[str, float]:
    """Return median seconds of a training step, by fused and by the peer's own Adam, and of a prediction."""
    peer, plain, rows = Peer(name, seed=1), Peer(name, seed=1, is_fused=False), Stream(1).batch(0)
    found = {}
    for kind, step, is_training in (
        ("train", peer.train, True),
        ("train, plain Adam", plain.train, True),
        ("predict", peer.predict, False),
    ):
        peer.model.train(is_training)
        step(rows)
        seconds = []
        for _ in range(repeats):
            began = time.perf_counter()
            step(rows)
            seconds.append(time.perf_counter() - began)
        found[kind] = float(np.median(seconds))
    return found


def loss_after(name: str, steps: int, seed: int) -> dict[str, Any]:
    """Return the loss on held-out rows after a number of steps."""
    peer, stream = Peer(name, seed), Stream(seed)
    for step in range(steps):
        peer.train(stream.batch(step))
    peer.model.eval()
    with torch.inference_mode():
        return {"loss": float(peer.loss(stream.batch(HELD_OUT_STEP, HELD_OUT_ROWS)))}


def main(kind: str, name: str, count: int, threads: int, seed: int = 1) -> None:
    """Measure and print."""
    torch.set_num_threads(threads)
    print(json.dumps(times(name, count) if kind == "time" else loss_after(name, count, seed)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
