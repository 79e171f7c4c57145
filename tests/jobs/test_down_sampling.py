"""A model that sees a tenth of the negatives, each ten times as heavy, predicts the rates of all rows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from core.encoder import CategoricalEncoding, DenseEncoding, Encoder
from core.load import load_config
from core.model import Loss, Model, Optimiser
from core.schema import Task
from features.sampling import with_fewer_negatives
from models.model import build_model
from models.training.distributed import Single
from models.training.losses import cell_counts, multi_task_loss
from models.training.reader import Rows
from models.training.run_spec import FitSpec
from models.training.trainer import Trainer

SHARE = 0.1
TASKS = (
    Task(name="click", label="is_click = 1", kind="binary"),
    Task(name="like", label="is_like = 1", kind="binary", where="is_click = 1"),
    Task(name="play", label="play_seconds", kind="regression"),
)
COHORTS = {"user_cohort": ("all",), "item_cohort": ("all",)}
ENCODER = Encoder(
    categorical=(CategoricalEncoding(column="tab", kind="vocabulary", size=2, dim=1, vocabulary=("0",)),),
    dense=tuple(DenseEncoding(column=f"x{n}", transform="identity", mean=0.0, std=1.0) for n in range(2)),
)
MODEL = Model(
    name="shared_bottom",
    architecture="shared_bottom",
    trunk={"widths": [16]},
    tower=(8,),
    loss=Loss(normalise="per_task"),
    optimiser=Optimiser(learning_rate=0.01, batch_rows=1, max_epochs=10, patience=10),
)
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Log:
    """Rows with known truth: 8 % are clicks, three in ten of these likes; clicked items are played longer."""

    x: Values  # (n, 2)
    labels: Values  # (n, 3)
    truth: Values  # P(click), P(like | click), E[play], (n, 3)
    weight: Values

    @classmethod
    def of(cls, rows: int, seed: int) -> "Log":
        chance = np.random.default_rng(seed)
        x = chance.normal(size=(rows, 2))
        click = sigmoid(-3.2 + 1.2 * x[:, 0] - 0.8 * x[:, 1])
        like = sigmoid(-0.5 + 0.7 * x[:, 1])
        is_click = chance.random(rows) < click
        play = np.exp(0.3 * x[:, 1]) + 2.0 * is_click
        labels = np.stack([is_click, is_click & (chance.random(rows) < like), play], axis=1)
        truth = np.stack([click, like, np.exp(0.3 * x[:, 1]) + 2.0 * click], axis=1)
        return cls(x, labels.astype(float), truth, np.ones(rows))

    def take(self, index: NDArray[np.int64], weight: Values) -> "Log":
        return Log(self.x[index], self.labels[index], self.truth[index], weight)

    @property
    def rows(self) -> Rows:
        n = len(self.x)
        is_click = self.labels[:, 0] > 0
        zeros = np.zeros(n, np.uint8)
        return Rows(
            categorical=np.zeros((n, 1), np.int32),
            dense=self.x.astype(np.float32),
            labels=self.labels.astype(np.float32),
            mask=np.stack([np.ones(n, bool), is_click, np.ones(n, bool)], axis=1),
            weight=self.weight.astype(np.float32),
            user_group=zeros,
            item_group=zeros,
        )


class InMemory:
    """A split in memory."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def batches(self, batch_rows: int) -> Iterator[Rows]:
        for start in range(0, len(self.rows), batch_rows):
            yield self.rows.take(slice(start, start + batch_rows))

    def shuffled_batches(self, batch_rows: int, window: int, seed: int, epoch: int) -> Iterator[Rows]:
        order = np.random.default_rng((seed, epoch)).permutation(len(self.rows))
        return InMemory(self.rows.take(order)).batches(batch_rows)


def sigmoid(z: Values) -> Values:
    return 1 / (1 + np.exp(-z))


def sampled(spark: SparkSession, log: Log) -> Log:
    """The rows that `pack` keeps of a log, with their weights."""
    names = [task.name for task in TASKS]
    columns = {f"label_{name}": log.labels[:, n] for n, name in enumerate(names)}
    masks = {f"mask_{name}": log.rows.mask[:, n] for n, name in enumerate(names)}
    numbers = np.arange(len(log.x))
    frame = pd.DataFrame({"event_id": numbers.astype(str), **columns, **masks, "weight": log.weight})
    training = load_config().training.model_copy(update={"keep_negatives": SHARE})
    kept = with_fewer_negatives(spark.createDataFrame(frame), TASKS, training).toPandas()
    return log.take(kept["event_id"].to_numpy().astype(np.int64), kept["weight"].to_numpy())


def predicted(train: Log, validation: Log, test: Log) -> Values:
    """Train a model with 40 steps per epoch; return what it predicts, before any calibration: (n, 3)."""
    optimiser = MODEL.optimiser.model_copy(update={"batch_rows": len(train.x) // 40})
    spec = FitSpec(
        model=MODEL.model_copy(update={"optimiser": optimiser}), tasks=TASKS, cohorts=COHORTS, seed=17
    )
    model = build_model(MODEL, ENCODER, [task.name for task in TASKS], COHORTS, spec.seed)
    Trainer(model, spec, InMemory(train.rows), InMemory(validation.rows), Single()).fit()
    rows = test.rows
    with torch.inference_mode():
        z = model(
            torch.from_numpy(rows.categorical), torch.from_numpy(rows.dense), torch.zeros(len(rows)).long()
        )
    return to_predictions(z.numpy().astype(np.float64))


def at_optimum(train: Log, test: Log) -> Values:
    """Fit a linear model to the loss of training until nothing improves; return what it predicts, (n, 3)."""
    rows = train.rows
    x, y, mask, weight = (
        torch.from_numpy(values).double() for values in (train.x, rows.labels, rows.mask, train.weight)
    )
    group = torch.zeros(len(x)).long()
    counts = cell_counts(mask, weight, group, 1, "per_task")
    slopes, intercepts = (torch.zeros(shape, dtype=x.dtype, requires_grad=True) for shape in ((2, 3), (3,)))
    solver = torch.optim.LBFGS([slopes, intercepts], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        solver.zero_grad()
        logits = x @ slopes + intercepts
        loss = multi_task_loss(logits, y, mask, weight, group, TASKS, counts, "per_task")
        loss.backward()
        return loss

    solver.step(closure)
    with torch.no_grad():
        return to_predictions((torch.from_numpy(test.x) @ slopes + intercepts).numpy())


def to_predictions(logits: Values) -> Values:
    return np.concatenate([sigmoid(logits[:, :2]), logits[:, 2:]], axis=1)


def tenths(values: Values) -> list[NDArray[np.int64]]:
    return np.array_split(np.argsort(values), 10)


def means(values: Values, test: Log) -> Values:
    """Means of a value per task, (3,), each over the task's sample space: likes over clicks."""
    inside = np.stack([np.ones(len(values)), test.truth[:, 0], np.ones(len(values))], axis=1)
    mean: Values = (values * inside).sum(axis=0) / inside.sum(axis=0)
    return mean


@pytest.fixture(scope="module")
def log() -> Log:
    return Log.of(100_000, 1)


@pytest.fixture(scope="module")
def sample(spark: SparkSession, log: Log) -> Log:
    return sampled(spark, log)


def test_at_its_optimum_a_linear_model_predicts_what_it_predicts_from_all_rows(log: Log, sample: Log) -> None:
    """No noise of training: 8,000 clicks leave a standard error of 1 %, their likes of 2 %, 9,000 kept
    negatives one of 1 % more.
    """
    assert 0.16 < len(sample.x) / len(log.x) < 0.19

    of_all, of_sample = at_optimum(log, log), at_optimum(sample, log)

    assert means(of_all, log) == pytest.approx(means(log.truth, log), rel=0.05)
    assert means(of_sample, log) == pytest.approx(means(of_all, log), rel=0.03)
    for tenth in tenths(log.truth[:, 0]):
        assert of_sample[tenth, 0].mean() == pytest.approx(log.truth[tenth, 0].mean(), rel=0.1)


def test_networks_trained_on_the_sample_are_calibrated_and_without_weights_they_are_not(
    log: Log, sample: Log
) -> None:
    """Tolerances hold the noise of the last steps of training, too."""
    validation, test = Log.of(5_000, 2), Log.of(100_000, 3)
    truth = means(test.truth, test)

    of_sample = predicted(sample, validation, test)
    unweighted = predicted(sample.take(np.arange(len(sample.x)), np.ones(len(sample.x))), validation, test)

    assert means(of_sample, test) == pytest.approx(truth, rel=0.08)
    # Without weights clicks are expected almost four times too often; p / (p + (1 - p) / q) corrects that
    # (He et al. 2014). The regression, too, leans to the rows that were kept.
    p = unweighted[:, 0]
    assert p.mean() > 3 * truth[0]
    assert (p / (p + (1 - p) / SHARE)).mean() == pytest.approx(truth[0], rel=0.25)
    assert unweighted[:, 2].mean() > 1.2 * truth[2]
