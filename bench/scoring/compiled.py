"""Does torch.compile pay where pairs are scored?

python -m bench.scoring.compiled
python -m bench.scoring.compiled --users 64

The forward pass of PairScorer, whose shape is fixed, as it is and compiled, by turns in one process with one
thread, 512 items. How long the first compiled pass takes is what a Spark worker would wait before it scores;
with torch's cache of compiled code on disk, what the next one on its machine would. Products of users are
compiled with the pass, since a graph holds for one slice of users. Ends with 1 where predictions differ by
more than 1e-6.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.scoring.__main__ import ITEMS, USER_GROUP
from bench.scoring.models import to_bundle, to_pool, to_rows
from bench.tables import print_table
from models.modules.pairs import PairRows, UserRows
from models.serving.bundle import Bundle
from models.serving.scorer import PairScorer

Forward = Callable[[PairRows, int], Tensor]


def main() -> None:
    """Measure each model, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--users", type=int, default=256)
    parser.add_argument("--turns", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="compiled-") as folder:
        rows = [
            measure(to_bundle(Path(folder), architecture, size), asked.users, asked.turns)
            for size in ("demo", "large")
            for architecture in ("ple", "mfh")
        ]
    head = ["model", "first pass, s", "with torch's cache, s", "as it is, pairs/s", "compiled, pairs/s"]
    print_table([*head, "times as fast (over turns)", "pays after pairs"], rows)


def measure(bundle: Bundle, users: int, turns: int) -> tuple[str, ...]:
    """Return one row of the table.

    Raises:
        SystemExit: predictions differ by more than 1e-6.
    """
    plain, compiled = PairScorer(bundle, to_pool(ITEMS)), PairScorer(bundle, to_pool(ITEMS))
    of_users = to_rows("user", users, seed=1)
    few = of_users[0][: plain.users_at_once], of_users[1][: plain.users_at_once]
    from_input = compiled._model.from_input
    starts = []
    for _ in range(2):
        torch.compiler.reset()
        forward = torch.compile(from_input, dynamic=False)

        def of_pass(rows: PairRows, group: int, forward: Forward = forward) -> Tensor:
            return forward(PairRows(UserRows(rows.users.users_UD), rows.pool, rows.pairs_BD), group)

        compiled._model.from_input = of_pass  # type: ignore[assignment, method-assign]
        starts.append(timed(compiled, few)[1])
    expected, found = timed(plain, of_users)[0], timed(compiled, of_users)[0]
    if (difference := float(np.abs(found - expected).max())) > 1e-6:
        raise SystemExit(f"{bundle.path.name}: predictions differ by {difference:.1e}; expected 1e-6")
    times = np.array([[timed(each, of_users)[1] for each in (plain, compiled)] for _ in range(turns)])
    ratios, per_pair = times[:, 0] / times[:, 1], np.median(times, axis=0) / (users * ITEMS)
    saved = per_pair[0] - per_pair[1]
    return (
        bundle.path.parent.name,
        *(f"{start:.1f}" for start in starts),
        *(f"{1 / each:,.0f}" for each in per_pair),
        f"{np.median(ratios):.2f} ({ratios.min():.2f} .. {ratios.max():.2f})",
        f"{starts[0] / saved:,.0f}" if saved > 0 else "never",
    )


def timed(
    scorer: PairScorer, users: tuple[NDArray[np.int64], NDArray[np.float32]]
) -> tuple[NDArray[np.float64], float]:
    """Return predictions and how long they took."""
    began = time.perf_counter()
    found = np.concatenate([part for _, part in scorer.predictions(*users, USER_GROUP)])
    return found, time.perf_counter() - began


if __name__ == "__main__":
    main()
