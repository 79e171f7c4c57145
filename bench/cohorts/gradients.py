"""What do new users, 5 % of the rows, get of each module's gradient, by architecture?

python -m bench.cohorts.gradients              train what is not yet in the results, then print and draw them
python -m bench.cohorts.gradients --table      print and draw only
python -m bench.cohorts.gradients --seeds 1    these seeds only

The base world of the regime map; 60,000 parameters of trunk and towers each; five epochs of 120,000 rows at
one learning rate for all. Share, cosine and noise of new users (models/describe/gradients.py) are of 120,000
other rows of the same world, which no training sees, with the weights at the start, after one epoch and after
five. A seed draws data and weights anew; architectures share the data. Four minutes of one core.
"""

import argparse
from collections import defaultdict
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch

from bench.cohorts.architectures import VARIANTS, matched_width, to_model
from bench.cohorts.data import ROWS, VALIDATION_USERS, to_test_bed
from bench.cohorts.worlds import BASE
from bench.line_plot import Point, line_plot, write
from bench.memory import MemoryRows
from bench.results import FOLDER, Results
from bench.tables import print_table
from models.describe.gradients import GradientShare, gradient_shares
from models.model import build_model
from models.training.distributed import Single
from models.training.run_spec import FitSpec
from models.training.trainer import Trainer

COMPARED = {
    "ple": "PLE",
    "shared bottom": "shared bottom",
    "shared bottom, tower per cell": "tower per cell",
    "mfh of the paper": "MFH",
}
"""Variant -> its name in the plot."""
COHORT = "new"
EPOCHS = (0, 1, 5)
RATE = 0.016
"""The lower of the two rates that are about equal for PLE in the regime map, .016 and .032."""
SEEDS = (1, 2, 3)
FORMATS = {"share": "{:.3f}", "cosine": "{:+.2f}", "noise": "{:.2f}"}
RESULTS = Results("gradients")
PLOT = FOLDER.parent / "gradients.svg"

Line = dict[str, Any]


def train(name: str, seed: int, rows: int = ROWS[0]) -> Line:
    """Return one training on some rows, with new users' shares in the gradient of as many others.

    `after`: epochs so far -> groups of parameters that serve new users, in the order of the forward pass.
    """
    data = to_test_bed(BASE, 2 * rows, seed, VALIDATION_USERS, test_users=3).data
    seen, unseen = MemoryRows(data.train.take(slice(rows))), data.train.take(slice(rows, None))
    width, parameters = matched_width(VARIANTS[name], data.encoder, data.tasks, data.cohorts)
    config = to_model(VARIANTS[name], width, RATE)
    spec = FitSpec(model=config, tasks=data.tasks, cohorts=data.cohorts, seed=seed)
    model = build_model(config, data.encoder, [task.name for task in data.tasks], data.cohorts, seed)
    trainer = Trainer(model, spec, seen, MemoryRows(data.validation), Single())
    found = {}
    for epoch in range(EPOCHS[-1] + 1):
        if epoch in EPOCHS:
            found[str(epoch)] = [
                _line(share)
                for share in gradient_shares(model, spec, unseen)
                if share.cohort == COHORT and COHORT in share.group.cohorts
            ]
        if epoch < EPOCHS[-1]:
            trainer.train_epoch(epoch)
    print(name, seed, flush=True)
    share_of_rows = float(np.mean(unseen.user_group == data.cohorts["user_cohort"].index(COHORT)))
    return {"parameters": parameters, "share_of_rows": round(share_of_rows, 4), "after": found}


def _line(share: GradientShare) -> Line:
    figures = {"share": share.norm_share, "cosine": share.cosine, "noise": share.noise}
    return {
        "module": share.group.name,
        "serves": COHORT if share.group.cohorts == (COHORT,) else "all",
        "numbers": share.numbers,
        **{what: None if value is None else round(value, 4) for what, value in figures.items()},
    }


def runs_of(name: str, seeds: list[int]) -> list[Line]:
    """Return the results of a variant."""
    return [row for row in RESULTS.all() if row["variant"] == name and row["seed"] in seeds]


def table(name: str, seeds: list[int]) -> None:
    """Print a variant's modules that serve new users, with means over seeds, and the range of cosines."""
    runs = runs_of(name, seeds)
    if not runs:
        return
    figures: dict[tuple[str, str, int], list[str]] = defaultdict(list)
    for epochs in map(str, EPOCHS):
        for of_seeds in zip(*(run["after"][epochs] for run in runs), strict=True):
            first = of_seeds[0]
            figures[first["module"], first["serves"], first["numbers"]] += [
                _figure(what, [line[what] for line in of_seeds]) for what in FORMATS
            ]
    seen = ", ".join(str(run["seed"]) for run in runs)
    rows = f"{np.mean([run['share_of_rows'] for run in runs]):.3f}"
    size = f"{runs[0]['parameters']:,} parameters"
    print(f"{name}: {size}, seeds {seen}, new users {rows} of the rows, after 0 to {EPOCHS[-1]} epochs\n")
    heads = [f"{what} after {epochs}" for epochs in EPOCHS for what in FORMATS]
    print_table(
        ["module", "serves", "numbers", *heads],
        [[module, serves, f"{n:,}", *found] for (module, serves, n), found in figures.items()],
    )
    print()


def _figure(what: str, of_seeds: list[float | None]) -> str:
    values = [value for value in of_seeds if value is not None]
    if not values:
        return ""
    mean, low, high = (FORMATS[what].format(of(values)) for of in (np.mean, min, max))
    return f"{mean} ({low} .. {high})" if what == "cosine" and len(values) > 1 else mean


def plot(seeds: list[int]) -> None:
    """Draw the cosine in the first module above the embeddings, by epochs."""
    lines: dict[str, list[Point]] = {}
    for name, short in COMPARED.items():
        for epochs in EPOCHS:
            # Place 0 has the embeddings.
            values = [run["after"][str(epochs)][1]["cosine"] for run in runs_of(name, seeds)]
            if values:
                point = Point(epochs, float(np.mean(values)), min(values), max(values))
                lines.setdefault(short, []).append(point)
    if lines:
        title = "Do new users and all others pull the first shared layer the same way?"
        write(PLOT, line_plot(lines, title, "epochs", "cosine of their gradients"))


def main() -> None:
    """Train, then print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.table:
        for seed, name in product(arguments.seeds, COMPARED):
            RESULTS.once({"variant": name, "seed": seed}, partial(train, name, seed))
    for name in COMPARED:
        table(name, arguments.seeds)
    plot(arguments.seeds)


if __name__ == "__main__":
    main()
