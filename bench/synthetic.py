"""The PLE paper's synthetic data: gain over single-task against how much two tasks have in common.

python -m bench.synthetic            train what is not yet in the results, then print and draw them
python -m bench.synthetic --table    print and draw only

Two regressions of x in R^512 (Tang et al., RecSys 2020, section 5.3, after Ma et al., KDD 2018): unit
vectors u1, u2 orthogonal, w1 = u1, w2 = p u1 + sqrt(1 - p^2) u2, and
y_k = w_k.x + sum over i of sin(alpha_i w_k.x + beta_i) + noise of standard deviation 0.1,
with the same ten alpha_i, beta_i ~ N(0, 1) for both tasks and x ~ N(0, 1).

Differences from the paper: 100,000 rows for each p, not 1.4 million, of which a tenth is for validation
and a tenth for the test. One learning rate, 0.001, for all: nothing is tuned; trunk and towers have 100,000
parameters. A seed draws data and weights anew; architectures share both, so gains are paired.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from bench.command_line import is_table_only
from bench.fit import ONE_COHORT, Dataset, error_by_task, fit, predict, trunk_parameters
from bench.line_plot import Point, line_plot, write
from bench.results import FOLDER, Results
from bench.tables import print_table
from bench.widths import closest_width
from core.encoder import DenseEncoding, Encoder
from core.model import Loss, Model, Optimiser
from core.schema import Task
from models.model import build_model
from models.training.reader import Rows

SAMPLES, WIDTH, SINES, NOISE = 100_000, 512, 10, 0.1
OVERLAPS = (0.0, 0.25, 0.5, 0.75, 1.0)
SEEDS = (1, 2, 3)
PARAMETERS = 100_000
TASKS = tuple(Task(name=name, label=name, kind="regression") for name in ("y1", "y2"))
RESULTS, PLOT = Results("synthetic"), FOLDER.parent / "synthetic.svg"


def _level(width: int) -> dict[str, Any]:
    return {"task_experts": 2, "shared_experts": 2, "expert_widths": [width]}


SHAPES: dict[str, tuple[str, Callable[[int], Mapping[str, Any]]]] = {
    "single_task": ("single_task", lambda w: {"widths": [w]}),
    "shared_bottom": ("shared_bottom", lambda w: {"widths": [w]}),
    "mmoe": ("mmoe", lambda w: {"levels": [{"experts": 6, "expert_widths": [w]}]}),
    "cgc": ("ple", lambda w: {"levels": [_level(w)]}),
    "ple": ("ple", lambda w: {"levels": [_level(w), _level(w)]}),
}


@lru_cache(maxsize=1)
def to_data(overlap: float, seed: int) -> tuple[Dataset, Rows]:
    """Return the rows of one p and seed: training and validation, and the test split."""
    random = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(random.standard_normal((WIDTH, 2)))
    w = np.stack([basis[:, 0], overlap * basis[:, 0] + np.sqrt(1 - overlap**2) * basis[:, 1]])
    alpha, beta = random.standard_normal((2, SINES))
    x = random.standard_normal((SAMPLES, WIDTH)).astype(np.float32)
    line = x @ w.T.astype(np.float32)
    waves = np.sin(alpha * line[:, :, None] + beta).sum(-1)
    labels = line + waves + NOISE * random.standard_normal(line.shape)
    rows = Rows(
        categorical=np.empty((SAMPLES, 0), dtype=np.int32),
        dense=x,
        labels=labels.astype(np.float32),
        mask=np.ones(labels.shape, dtype=np.bool_),
        weight=np.ones(SAMPLES, dtype=np.float32),
        user_group=np.zeros(SAMPLES, dtype=np.uint8),
        item_group=np.zeros(SAMPLES, dtype=np.uint8),
    )
    dense = tuple(
        DenseEncoding(column=f"x{n}", transform="identity", mean=0.0, std=1.0) for n in range(WIDTH)
    )
    tenth = SAMPLES // 10
    train, validation, test = (
        rows.take(slice(*ends)) for ends in ((0, 8 * tenth), (8 * tenth, 9 * tenth), (9 * tenth, SAMPLES))
    )
    return Dataset(Encoder(categorical=(), dense=dense), TASKS, ONE_COHORT, train, validation), test


def to_model(name: str, width: int) -> Model:
    """Return the model configuration of one architecture."""
    architecture, shape = SHAPES[name]
    return Model(
        name=name,
        architecture=architecture,
        trunk=dict(shape(width)),
        tower=(16,),
        loss=Loss(normalise="per_task"),
        optimiser=Optimiser(learning_rate=0.001, batch_rows=1024, max_epochs=30, patience=3),
    )


def train(name: str, overlap: float, seed: int) -> dict[str, Any]:
    """Return one training: mean squared error of both tasks on the test split."""
    data, test = to_data(overlap, seed)
    names = [task.name for task in TASKS]
    width, parameters = closest_width(
        lambda w: trunk_parameters(build_model(to_model(name, w), data.encoder, names, {}, seed=1)),
        PARAMETERS,
    )
    found = fit(to_model(name, width), data, seed)
    error = error_by_task(predict(found.model, test), test, TASKS)
    print(name, overlap, seed, error, f"{found.seconds} s", flush=True)
    return {
        "width": width,
        "parameters": parameters,
        "epochs": found.epochs,
        "best_epoch": found.best_epoch,
        "validation_loss": found.validation_loss,
        "test_mse": error,
        "seconds": found.seconds,
    }


def gains() -> dict[str, list[Point]]:
    """Return architecture -> gain over single-task (eq. 11), mean over both tasks: one point per p."""
    error = mean_errors()
    found: dict[str, list[Point]] = {name: [] for name in SHAPES if name != "single_task"}
    for overlap in OVERLAPS:
        seeds = [seed for seed in SEEDS if all((name, overlap, seed) in error for name in SHAPES)]
        for name, points in found.items() if seeds else ():
            of_seeds = [error["single_task", overlap, seed] - error[name, overlap, seed] for seed in seeds]
            points.append(Point(overlap, float(np.mean(of_seeds)), min(of_seeds), max(of_seeds)))
    return found


def mean_errors() -> dict[tuple[str, float, int], float]:
    """Return architecture, p and seed -> mean squared error on the test split, mean over both tasks."""
    return {
        (row["architecture"], row["overlap"], row["seed"]): float(np.mean([*row["test_mse"].values()]))
        for row in RESULTS.all()
    }


def table(found: Mapping[str, Sequence[Point]]) -> None:
    """Print the mean error of single-task, and the others' gain over it, with the range over seeds."""
    error = mean_errors()
    rows = []
    for points in zip(*found.values(), strict=True):
        seeds = [seed for seed in SEEDS if all((name, points[0].x, seed) in error for name in SHAPES)]
        single = [error["single_task", points[0].x, seed] for seed in seeds]
        spreads = [f"{point.mean:+.3f} ({point.low:+.3f} .. {point.high:+.3f})" for point in points]
        rows.append([points[0].x, len(single), f"{np.mean(single):.3f}", *spreads])
    print_table(["p", "seeds", "single task", *found], rows)


def main() -> None:
    """Train, then print."""
    if not is_table_only(__doc__ or ""):
        for seed in SEEDS:
            for overlap in OVERLAPS:
                for name in SHAPES:
                    RESULTS.once(
                        {"architecture": name, "overlap": overlap, "seed": seed},
                        lambda name=name, overlap=overlap, seed=seed: train(name, overlap, seed),  # type: ignore[misc]
                    )
    found = gains()
    table(found)
    if all(found.values()):
        names = "gain over single-task, mean squared error", "p, the cosine of the two tasks' weights"
        write(PLOT, line_plot(found, "Gain over single-task by correlation of tasks", names[1], names[0]))


if __name__ == "__main__":
    main()
