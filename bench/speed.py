"""How fast does PLE train and predict, against bare matrix products of the same shapes?

python -m bench.speed            prints a table; all take turns in one run, for a machine drifts
python -m bench.speed --peers    with torch-rechub and DeepCTR-Torch, from an environment of their own:
    python3.11 -m venv .venv-peers && .venv-peers/bin/pip install -r bench/peers/requirements.txt

PLE of 2 levels, 3 experts a task and 3 shared ones of width 256, towers [128, 64], 3 tasks, 20 categorical
columns of 10,000 ids x 16, 20 dense ones, batches of 4096 rows in memory. The bare products are those of
experts and towers alone: one forward, two backward. Gates, embeddings, ReLU, loss and Adam come on top.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from bench.peers import PEERS, command
from bench.tables import print_table
from conf.encoder import CategoricalEncoding, DenseEncoding, Encoder
from conf.load import PROJECT_DIR
from conf.model import Loss, Model, Optimiser
from conf.schema import Task
from models import losses
from models.distributed import Single
from models.model import build_model
from models.optimisers import Optimisers

ROWS, COLUMNS, IDS, DIM = 4096, 20, 10_000, 16
EXPERTS, WIDTH, TOWER = 3, 256, (128, 64)
TASKS = tuple(Task(name=name, label="x", kind="binary") for name in ("click", "long_view", "like"))


def to_encoder() -> Encoder:
    """The columns, all of the context's side."""
    return Encoder(
        categorical=tuple(
            CategoricalEncoding(column=f"c{n}", kind="hash", size=IDS, dim=DIM) for n in range(COLUMNS)
        ),
        dense=tuple(
            DenseEncoding(column=f"d{n}", transform="identity", mean=0.0, std=1.0) for n in range(COLUMNS)
        ),
    )


def to_model() -> Model:
    """The model YAML, as it were."""
    level = {"task_experts": EXPERTS, "shared_experts": EXPERTS, "expert_widths": [WIDTH]}
    return Model(
        name="ple",
        architecture="ple",
        trunk={"levels": [level, level]},
        tower=TOWER,
        loss=Loss(normalise="per_task"),
        optimiser=Optimiser(learning_rate=0.001, batch_rows=ROWS, max_epochs=1, patience=1),
    )


class Ple:
    """The platform's model on one batch."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.model = build_model(to_model(), to_encoder(), [task.name for task in TASKS], {}, seed=1)
        self.ids = torch.randint(0, IDS, (ROWS, COLUMNS), generator=generator)
        self.dense = torch.randn(ROWS, COLUMNS, generator=generator)
        self.labels = (torch.rand(ROWS, len(TASKS), generator=generator) < 0.3).float()
        self.mask = torch.ones(ROWS, len(TASKS), dtype=torch.bool)
        self.weight, self.group = torch.ones(ROWS), torch.zeros(ROWS, dtype=torch.int64)
        self.optimisers = Optimisers(self.model, [], to_model().optimiser)

    def train(self) -> None:
        """One step."""
        counts = losses.cell_counts(self.mask, self.weight, self.group, 1, "per_task")
        logits = self.model(self.ids, self.dense, self.group)
        loss = losses.multi_task_loss(
            logits, self.labels, self.mask, self.weight, self.group, TASKS, counts, "per_task"
        )
        self.optimisers.clear()
        loss.backward()
        self.optimisers.step(Single())

    def predict(self) -> None:
        """One forward pass."""
        with torch.inference_mode():
            self.model(self.ids, self.dense, self.group)


class Bare:
    """The matrix products of the experts and towers, and nothing else."""

    def __init__(self) -> None:
        branches = len(TASKS) + 1
        shapes = [(COLUMNS * (DIM + 1), branches * EXPERTS * WIDTH)]
        shapes += [(WIDTH, EXPERTS * WIDTH)] * branches
        shapes += [(WIDTH, TOWER[0]), (TOWER[0], TOWER[1])] * len(TASKS)
        self.products: list[tuple[Tensor, Tensor, Tensor]] = [
            (torch.randn(ROWS, d), torch.randn(h, d), torch.randn(ROWS, h)) for d, h in shapes
        ]

    def predict(self) -> None:
        """Forward."""
        for x, weight, _ in self.products:
            x @ weight.T

    def train(self) -> None:
        """Forward and backward."""
        for x, weight, gradient in self.products:
            x @ weight.T
            gradient @ weight
            gradient.T @ x


def seconds(step: Callable[[], None], repeats: int) -> float:
    """Median time of a step."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def measure(ours: Callable[[], None], bare: Callable[[], None], repeats: int) -> dict[str, float]:
    """Seconds of one turn of ours and of the bare products."""
    ours()
    bare()
    return {"PLE": seconds(ours, repeats), "bare products": seconds(bare, repeats)}


def measure_peer(peer: str, repeats: int) -> dict[str, float]:
    """Seconds of a training step and a prediction of a peer, in a process of its own environment."""
    line = command("step", peer, repeats, torch.get_num_threads())
    done = subprocess.run(line, cwd=PROJECT_DIR, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    """Measure in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--peers", action="store_true")
    arguments = parser.parse_args()
    ple, bare = Ple(), Bare()
    turns: dict[str, list[dict[str, float]]] = {"train": [], "predict": []}
    for _ in range(arguments.turns):
        turns["train"].append(measure(ple.train, bare.train, arguments.repeats))
        turns["predict"].append(measure(ple.predict, bare.predict, arguments.repeats))
        for peer in PEERS if arguments.peers else ():
            for name, found in measure_peer(peer, arguments.repeats).items():
                turns[name][-1][peer] = found
    rows = []
    for name, of_turns in turns.items():
        for who in of_turns[0]:
            rate = ROWS / float(np.median([turn[who] for turn in of_turns]))
            ratios = [turn[who] / turn["PLE"] for turn in of_turns]
            spread = f"{np.median(ratios):.2f} ({min(ratios):.2f} .. {max(ratios):.2f})"
            rows.append([name, who, f"{rate:,.0f}", spread])
    print_table(["", "", "rows/s", "PLE's rate as a multiple of it (over turns)"], rows)


if __name__ == "__main__":
    main()
