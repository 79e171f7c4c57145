"""How fast does PLE train and predict, against bare matrix products of the same shapes?

python -m bench.speed            prints a table; all take turns in one run, since a machine's speed drifts
python -m bench.speed --peers    with torch-rechub and DeepCTR-Torch, from an environment of their own:
    python3.11 -m venv .venv-peers && .venv-peers/bin/pip install -r bench/peers/requirements.txt

python -m bench.speed --device cuda    on a GPU, without peers; rows come from the host's memory each step

PLE of 2 levels, 3 experts per task and 3 shared ones of width 256, towers [128, 64], 3 tasks, 20 categorical
columns of 10,000 ids x 16, 20 dense ones, batches of 4096 rows in memory. The bare products are those of
experts and towers alone: one forward, two backward. Gates, embeddings, ReLU, loss and Adam come on top.
Peers are measured with fused Adam, as ours has it, and with plain Adam, as their own training has it.
bfloat16 is torch's autocast, where the processor has the instructions: weights stay float32.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from bench.peers import PEERS, PROJECT, command
from bench.step_data import COLUMNS, DIM, EXPERTS, ROWS, TASKS, TOWER, WIDTH, Rows, Stream
from bench.step_model import Ple
from bench.tables import print_table

OURS, BARE, BFLOAT16 = "PLE", "bare products", ", bfloat16"


class Bare:
    """The matrix products of the experts and towers, and nothing else."""

    def __init__(self, dtype: torch.dtype, device: str) -> None:
        branches = TASKS + 1
        shapes = [(COLUMNS * (DIM + 1), branches * EXPERTS * WIDTH)]
        shapes += [(WIDTH, EXPERTS * WIDTH)] * branches
        shapes += [(WIDTH, TOWER[0]), (TOWER[0], TOWER[1])] * TASKS
        self.products: list[tuple[Tensor, Tensor, Tensor]] = [
            (
                torch.randn(ROWS, d).to(device, dtype),
                torch.randn(h, d).to(device, dtype),
                torch.randn(ROWS, h).to(device, dtype),
            )
            for d, h in shapes
        ]

    def predict(self) -> None:
        """Do the forward products."""
        for x, weight, _ in self.products:
            x @ weight.T

    def train(self) -> None:
        """Do the forward and backward products."""
        for x, weight, gradient in self.products:
            x @ weight.T
            gradient @ weight
            gradient.T @ x


def to_steps(device: str) -> dict[str, dict[str, Callable[[], None]]]:
    """Return the steps of this process: train and predict -> library -> one step."""
    rows, ple = Stream(1).batch(0), Ple(1, device)
    dtypes = {"": torch.float32}
    if device != "cpu" or torch.cpu._is_avx512_bf16_supported():
        dtypes[BFLOAT16] = torch.bfloat16
    steps: dict[str, dict[str, Callable[[], None]]] = {"train": {}, "predict": {}}
    for suffix, dtype in dtypes.items():
        bare = Bare(dtype, device)
        steps["train"] |= {OURS + suffix: _as(dtype, ple, "train", rows), BARE + suffix: bare.train}
        steps["predict"] |= {OURS + suffix: _as(dtype, ple, "predict", rows), BARE + suffix: bare.predict}
    return steps


def _as(dtype: torch.dtype, ple: Ple, kind: str, rows: Rows) -> Callable[[], None]:
    def run() -> None:
        with torch.autocast(ple.device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
            getattr(ple, kind)(rows)

    return run


def seconds(step: Callable[[], None], repeats: int) -> float:
    """Return the median time of a step in seconds, after one that does not count."""
    step()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def measure_peer(peer: str, repeats: int) -> dict[str, float]:
    """Return seconds of a training step and a prediction of a peer, in a process of its own environment."""
    line = command("step", "time", peer, repeats, torch.get_num_threads())
    done = subprocess.run(line, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    """Measure in turns, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    steps = to_steps(arguments.device)
    turns: list[dict[str, dict[str, float]]] = []
    for _ in range(arguments.turns):
        found = {
            kind: {who: seconds(step, arguments.repeats) for who, step in of_kind.items()}
            for kind, of_kind in steps.items()
        }
        for peer in PEERS if arguments.peers else ():
            for measured, of_step in measure_peer(peer, arguments.repeats).items():
                kind, *how = measured.split(", ")
                found[kind][", ".join([peer, *how])] = of_step
        turns.append(found)
    rows = []
    for kind in steps:
        for who in turns[0][kind]:
            rate = ROWS / float(np.median([turn[kind][who] for turn in turns]))
            ratios = [turn[kind][who] / turn[kind][OURS] for turn in turns]
            spread = f"{np.median(ratios):.2f} ({min(ratios):.2f} .. {max(ratios):.2f})"
            rows.append([kind, who, f"{rate:,.0f}", spread])
    print_table(["", "", "rows/s", "PLE's rate as a multiple of it (over turns)"], rows)


if __name__ == "__main__":
    main()
