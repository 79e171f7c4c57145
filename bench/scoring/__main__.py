"""What does a score of a pair cost, against a plain forward pass over joined rows?

python -m bench.scoring                  models of the demo's and of bench.speed's size, 512 items
python -m bench.scoring --users 64 --turns 3

Both ways give calibrated probabilities of all pairs of one user cohort, ours also scores and lists of 20, by
turns in one process with one thread, as a Spark task has. They are compared pair by pair. Also printed: the
share of our time that is spent in matrix products.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.profiler import ProfilerActivity, profile

from bench.scoring.models import TASKS, to_bundle, to_list, to_pool, to_rows
from bench.scoring.plain import PlainScorer
from bench.tables import print_table
from jobs.workers.listing import scores
from models.serving.scorer import PairScorer
from models.serving.selection import Rules, select

ITEMS, TOP_K, USER_GROUP = 512, 20, 2
RANKING = {task.name: 1.0 for task in TASKS}
PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::addmm_", "aten::baddbmm")


def main() -> None:
    """Measure each model, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--users", type=int, default=128)
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--turns", type=int, default=7)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="scoring-") as folder:
        rows = [
            measure(architecture, size, asked.users, asked.items, asked.turns, Path(folder))
            for size in ("demo", "large")
            for architecture in ("ple", "mfh")
        ]
    head = ["model", "plain, pairs/s", "factorised, pairs/s", "times as fast (over turns)"]
    print_table([*head, "largest difference", "in matrix products", "bfloat16, times as fast again"], rows)


def measure(
    architecture: str, size: str, users: int, items: int, turns: int, folder: Path
) -> tuple[str, ...]:
    """Return one row of the table.

    Raises:
        SystemExit: probabilities differ by more than 1e-6.
    """
    bundle, pool = to_bundle(folder, architecture, size), to_pool(items)
    plain, ours = PlainScorer(bundle, pool), PairScorer(bundle, pool)
    in_bfloat16 = PairScorer(bundle, pool, dtype="bfloat16")
    of_users = to_rows("user", users, seed=1)
    found = np.concatenate([part for _, part in ours.predictions(*of_users, USER_GROUP)])
    difference = float(np.abs(found - plain.probabilities(of_users, USER_GROUP)).max())
    if difference > 1e-6:
        raise SystemExit(f"{architecture} {size}: probabilities differ by {difference:.1e}; expected 1e-6")
    rules = to_list(pool, RANKING, TOP_K).rules
    ways: list[Callable[[], object]] = [
        lambda: plain.probabilities(of_users, USER_GROUP),
        lambda: listed(ours, of_users, rules),
        lambda: listed(in_bfloat16, of_users, rules),
    ]
    times = np.array([[seconds(way) for way in ways] for _ in range(turns)])
    rates = users * items / np.median(times[:, :2], axis=0)
    return (
        f"{architecture}, {size}",
        *(f"{rate:,.0f}" for rate in rates),
        spread(times[:, 0] / times[:, 1]),
        f"{difference:.0e}",
        f"{share_of_products(ways[1]):.0%}",
        spread(times[:, 1] / times[:, 2]),
    )


def spread(ratios: NDArray[np.float64]) -> str:
    """Return the median and the range."""
    return f"{np.median(ratios):.2f} ({ratios.min():.2f} .. {ratios.max():.2f})"


def listed(scorer: PairScorer, users: tuple[NDArray[Any], NDArray[Any]], rules: Rules) -> None:
    """Score and list, as a Spark task does."""
    exponents = np.array([RANKING[task] for task in scorer.tasks])
    for part, predictions in scorer.predictions(*users, USER_GROUP):
        score = scores(predictions, exponents)
        select(score, np.ones_like(score, bool), range(part.stop - part.start), rules)


def seconds(way: Callable[[], object]) -> float:
    """Return how long one call takes."""
    began = time.perf_counter()
    way()
    return time.perf_counter() - began


def share_of_products(way: Callable[[], object]) -> float:
    """Return the share of matrix products in a call's time, by torch's profiler."""
    with profile(activities=[ProfilerActivity.CPU]) as found:
        began = time.perf_counter()
        way()
        whole = time.perf_counter() - began
    of_products = sum(e.self_cpu_time_total for e in found.key_averages() if e.key in PRODUCTS)
    return float(of_products) / 1e6 / whole


if __name__ == "__main__":
    main()
