"""Is PLE's loss no worse than the peers' after equal steps? Beside bench.speed, with its sizes.

python -m bench.equal_steps            train what is not yet in the results, then print the table
python -m bench.equal_steps --table    print the table only

100 steps of 4096 rows of bench/step_data.py, Adam with a learning rate of 0.001 and each library's own
initial weights; three seeds, of truth, rows and weights. The loss is the cross entropy, mean over tasks, of
65,536 rows that no step has seen. Peers run as in bench.speed; bfloat16 is ours under torch's autocast.
"""

import json
import subprocess
from functools import partial
from typing import Any

import torch

from bench.command_line import is_table_only
from bench.paired import paired_difference
from bench.peers import PEERS, PROJECT, command
from bench.results import Results
from bench.step_data import HELD_OUT_ROWS, HELD_OUT_STEP, Stream
from bench.step_model import Ple
from bench.tables import print_table

STEPS, SEEDS = 100, (1, 2, 3)
OURS, BFLOAT16 = "PLE", "PLE, bfloat16"
RESULTS = Results("equal_steps")


def train(who: str, seed: int) -> dict[str, Any]:
    """Return the held-out loss of one training."""
    if who in PEERS:
        line = command("step", "loss", who, STEPS, torch.get_num_threads(), seed)
        done = subprocess.run(line, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    else:
        ple, stream = Ple(seed), Stream(seed)
        for step in range(STEPS):
            # One context per step: autocast keeps what it has cast of the weights until it ends.
            with torch.autocast("cpu", torch.bfloat16, enabled=who == BFLOAT16):
                ple.train(stream.batch(step))
        found = {"loss": ple.loss(stream.batch(HELD_OUT_STEP, HELD_OUT_ROWS))}
    print(who, seed, found, flush=True)
    return found


def table() -> None:
    """Print losses, and how much lower ours is, paired over seeds."""
    losses: dict[str, dict[int, float]] = {who: {} for who in (OURS, BFLOAT16, *PEERS)}
    for row in RESULTS.all():
        losses[row["who"]][row["seed"]] = row["loss"]
    rows = [
        [
            who,
            " ".join(f"{of_seeds[seed]:.4f}" for seed in SEEDS if seed in of_seeds),
            "" if who == OURS else paired_difference(of_seeds, losses[OURS]),
        ]
        for who, of_seeds in losses.items()
        if of_seeds.keys() & losses[OURS].keys()
    ]
    print_table(["", "loss by seed", "above PLE's"], rows)


def main() -> None:
    """Train, then print."""
    if not is_table_only(__doc__ or ""):
        for seed in SEEDS:
            for who in (OURS, BFLOAT16, *PEERS):
                RESULTS.once(
                    {"who": who, "seed": seed, "steps": STEPS},
                    partial(train, who, seed),
                )
    table()


if __name__ == "__main__":
    main()
