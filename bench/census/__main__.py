"""Trains every architecture on Census-Income by bench/census/protocol.py, and prints the tables.

python -m bench.census            train what is not yet in the results, then print the tables
python -m bench.census --peers    the same for torch-rechub and DeepCTR-Torch (bench/peers/), side by side
python -m bench.census --table    print the tables only
"""

import argparse
import subprocess
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from bench.census import table
from bench.census.architectures import SHAPES, matched_width, to_model
from bench.census.data import census, hand_over
from bench.census.protocol import train_missing
from bench.fit import auc_by_task, fit, predict
from bench.peers import PEERS, PROJECT, command
from bench.results import Results

RESULTS, PEER_RESULTS = Results("census"), Results("census_peers")


def train(name: str, rate: float, seed: int, is_final: bool) -> dict[str, Any]:
    """Do one training; a final reads the test split, once."""
    data, test = census()
    width, parameters = matched_width(name, data.encoder, data.tasks)
    found = fit(to_model(name, width, rate), data, seed)
    result: dict[str, Any] = {
        "width": width,
        "parameters": parameters,
        "epochs": found.epochs,
        "best_epoch": found.best_epoch,
        "validation_loss": found.validation_loss,
        "validation_auc": dict(found.validation_auc),
        "seconds": found.seconds,
    }
    if is_final:
        result["test_auc"] = auc_by_task(predict(found.model, test), test, data.tasks)
    print(
        name, rate, seed, result.get("test_auc", result["validation_auc"]), f"{found.seconds} s", flush=True
    )
    return result


def train_ours(names: Sequence[str]) -> None:
    """Do the trainings of our architectures that are missing."""
    for name in names:
        train_missing(RESULTS, {"architecture": name}, partial(train, name))


def train_peers(threads: int) -> None:
    """Do the trainings of the peers that are missing, one process per peer; they share the threads.

    Raises:
        SystemExit: the peers' environment is missing, or one of them failed.
    """
    lines = [command("census", peer, max(1, threads // len(PEERS))) for peer in PEERS]
    hand_over(*census(), PROJECT / "build" / "census.npz")
    processes = [subprocess.Popen(line, cwd=PROJECT) for line in lines]
    failed = [peer for peer, process in zip(PEERS, processes, strict=True) if process.wait() != 0]
    if failed:
        raise SystemExit(f"bench.census --peers: {failed} failed, see above; the same command resumes there")


def main() -> None:
    """Train, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument("--peers", action="store_true", help="train the peers, in .venv-peers")
    parser.add_argument("--only", nargs="*", default=list(SHAPES), help="architectures of ours")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.peers:
        train_peers(arguments.threads)
    elif not arguments.table:
        train_ours(arguments.only)
    table.print_all(RESULTS.all(), PEER_RESULTS.all())


if __name__ == "__main__":
    main()
