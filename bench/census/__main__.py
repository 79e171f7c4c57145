"""Trains every architecture on Census-Income, and prints the table.

python -m bench.census            train what is not yet in the results, then print the table
python -m bench.census --table    print the table only

Protocol: a tenth of the training part, by a fixed hash, is for validation. Each architecture has the same
tuning budget: three learning rates on one seed that no final uses; the best mean validation AUC wins.
Ten finals then differ in their seed alone. A final stops two epochs after the lowest validation loss and
keeps that epoch's weights; it reads the test part once.
"""

import argparse
from typing import Any

import numpy as np
import torch

from bench.census.architectures import SHAPES, matched_width, to_model
from bench.census.data import census
from bench.fit import auc_by_task, fit, predict
from bench.results import Results
from bench.tables import mean_and_spread, print_table

LEARNING_RATES = (0.00025, 0.0005, 0.001)
TUNING_SEED = 1000
SEEDS = range(1, 11)
RESULTS = Results("census")


def tune(name: str) -> float:
    """The learning rate with the best mean validation AUC on the tuning seed."""
    found = {}
    for rate in LEARNING_RATES:
        result = RESULTS.once(
            {"step": "tune", "architecture": name, "learning_rate": rate, "seed": TUNING_SEED},
            lambda rate=rate: _train(name, rate, TUNING_SEED, is_final=False),  # type: ignore[misc]
        )
        found[rate] = float(np.mean([*result["validation_auc"].values()]))
    return max(found, key=lambda rate: found[rate])


def final(name: str, rate: float, seed: int) -> dict[str, Any]:
    """One final training, with its AUC on the test part."""
    return RESULTS.once(
        {"step": "final", "architecture": name, "seed": seed},
        lambda: {"learning_rate": rate, **_train(name, rate, seed, is_final=True)},
    )


def _train(name: str, rate: float, seed: int, is_final: bool) -> dict[str, Any]:
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


def table() -> None:
    """Mean and spread of the test AUC over seeds, an architecture a row."""
    finals = [row for row in RESULTS.all() if row["step"] == "final"]
    rows = []
    for name in SHAPES:
        own = [row for row in finals if row["architecture"] == name]
        if own:
            aucs = [[row["test_auc"][task] for row in own] for task in ("income", "never_married")]
            rows.append(
                [name, len(own), own[0]["width"], f"{own[0]['parameters']:,}", own[0]["learning_rate"]]
                + [mean_and_spread(values) for values in aucs]
            )
    print_table(["architecture", "seeds", "width", "parameters", "rate", "income", "never married"], rows)


def main() -> None:
    """Train, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument("--only", nargs="*", default=list(SHAPES), help="architectures")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if not arguments.table:
        for name in arguments.only:
            rate = tune(name)
            for seed in SEEDS:
                final(name, rate, seed)
    table()


if __name__ == "__main__":
    main()
