"""Times PLE of a peer library on the batch of bench.speed; runs in .venv-peers, without the platform.

.venv-peers/bin/python -m bench.peers.step {torch-rechub,deepctr-torch} REPEATS THREADS

Prints the median seconds of a training step and of a prediction as JSON. Sizes are those of bench/speed.py.
Each peer has its defaults but for the sizes: batch normalisation in torch-rechub, a hidden layer in the
gates of DeepCTR-Torch left out. Loss and optimiser are the same as ours: mean cross entropy, Adam.
"""

import json
import sys
import time
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.peers.stand_in import stand_in_for_tensorflow

ROWS, COLUMNS, IDS, DIM = 4096, 20, 10_000, 16
EXPERTS, WIDTH, TOWER, TASKS = 3, 256, [128, 64], 3


def rechub() -> tuple[nn.Module, Any]:
    """Model and batch of torch-rechub."""
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
        tower_params_list=[{"dims": TOWER}] * TASKS,
    )
    ids, dense = inputs()
    batch = {f"c{n}": ids[:, n] for n in range(COLUMNS)} | {f"d{n}": dense[:, n] for n in range(COLUMNS)}
    return model, batch


def deepctr() -> tuple[nn.Module, Any]:
    """Model and batch of DeepCTR-Torch."""
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
        tower_dnn_hidden_units=tuple(TOWER),
        task_types=["binary"] * TASKS,
        task_names=[f"t{n}" for n in range(TASKS)],
    )
    ids, dense = inputs()
    return model, torch.cat([ids.float(), dense], dim=1)


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and dense values of one batch."""
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randint(0, IDS, (ROWS, COLUMNS), generator=generator),
        torch.randn(ROWS, COLUMNS, generator=generator),
    )


def main(peer: str, repeats: int, threads: int) -> None:
    """Time and print."""
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model, batch = rechub() if peer == "torch-rechub" else deepctr()
    labels = (torch.rand(ROWS, TASKS) < 0.3).float()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.001)

    def train() -> None:
        optimiser.zero_grad()
        loss = nn.functional.binary_cross_entropy(model(batch), labels) * TASKS
        loss.backward()
        optimiser.step()

    def predict() -> None:
        with torch.inference_mode():
            model(batch)

    found = {}
    for name, step, is_training in (("train", train, True), ("predict", predict, False)):
        model.train(is_training)
        step()
        times = []
        for _ in range(repeats):
            began = time.perf_counter()
            step()
            times.append(time.perf_counter() - began)
        found[name] = float(np.median(times))
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
