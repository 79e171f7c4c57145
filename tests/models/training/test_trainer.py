"""The training loop on one rank, in this process."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from core.errors import LamplighterError
from core.model import Loss, Model
from models.model import build_model
from models.training.distributed import Single
from models.training.process import train
from models.training.reader import Blocks, BlockShape, Rows
from models.training.run_spec import RunSpec
from models.training.trainer import Trainer
from tests.models.training_set import (
    AITM,
    BLOCK_ROWS,
    COHORTS,
    ENCODER,
    MFH,
    MFH_ITEM,
    PLE,
    TASKS,
    make_spec,
    with_optimiser,
)


def trainer(spec: RunSpec) -> Trainer:
    shape = BlockShape(BLOCK_ROWS, len(ENCODER.categorical), len(ENCODER.dense), len(spec.tasks))
    blocks = [Blocks(uris, shape, 0, 1, "pyarrow") for uris in (spec.blocks.train, spec.blocks.validation)]
    names = [task.name for task in spec.tasks]
    model = build_model(spec.model, ENCODER, names, COHORTS, spec.seed)
    return Trainer(model, spec, blocks[0], blocks[1], Single())


@pytest.mark.parametrize("model", [PLE, MFH, MFH_ITEM], ids=["ple", "mfh", "mfh_item"])
def test_losses_fall_and_both_tasks_are_learnt(model: Model, tmp_path: Path) -> None:
    history = trainer(make_spec(tmp_path, model=model)).fit()

    assert [row.epoch for row in history] == [1, 2, 3]
    assert history[-1].train_loss < history[0].train_loss
    assert history[-1].validation_loss < history[0].validation_loss
    assert (history[-1].validation_auc["click"] or 0) > 0.75
    assert (history[-1].validation_auc["like"] or 0) > 0.65


def test_weights_of_tasks_may_be_learnt_and_may_decay_by_the_step(tmp_path: Path) -> None:
    tasks = (TASKS[0], TASKS[1].model_copy(update={"decay": 0.5}))
    spec = make_spec(tmp_path).model_copy(update={"tasks": tasks})

    learnt = {}
    for unit in ("epoch", "step"):
        loss = Loss(normalise="per_task", weighting="uncertainty", decay_per=unit)
        run = trainer(spec.model_copy(update={"model": PLE.model_copy(update={"loss": loss})}))
        run.fit()
        learnt[unit] = run.weighting.log_variance_K.tolist()

    assert all(noise != 0 for unit in learnt for noise in learnt[unit])
    # Many steps make an epoch: by the step, `like` soon has no weight, and nothing moves its noise.
    assert abs(learnt["step"][1]) < 0.9 * abs(learnt["epoch"][1])


def test_what_a_trunk_adds_to_the_loss_of_rows_is_trained(tmp_path: Path) -> None:
    """Here `like` does not follow `click`: AITM's calibrator pulls it below all the same."""
    excess = {}
    for calibrator in (0.0, 5.0):
        trunk = AITM.trunk | {"calibrator": calibrator}
        run = trainer(make_spec(tmp_path, model=AITM.model_copy(update={"trunk": trunk})))
        run.fit()
        click, like = (1 / (1 + np.exp(-run.predict_validation().logits))).T
        excess[calibrator] = np.maximum(like - click, 0).mean()

    assert excess[5.0] < 0.5 * excess[0.0]


class Two(Single):
    """The first of two ranks: the other's rows weigh 6."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 2

    def all_reduce_sum(self, values: torch.Tensor) -> torch.Tensor:
        return values + 6


def test_what_a_trunk_adds_to_the_loss_of_rows_is_a_mean_over_the_rows_of_all_ranks(tmp_path: Path) -> None:
    run = trainer(make_spec(tmp_path, model=AITM))
    run.ranks = Two()
    probabilities = torch.tensor([[0.5, 0.75], [0.25, 0.75], [0.5, 0.25], [0.0, 1.0]])  # click, like
    weight = torch.tensor([1.0, 2.0, 1.0, 0.0])  # the last row is padding

    share = run._penalty(probabilities.logit(), weight)

    assert share.item() == pytest.approx(2 * 5.0 * (1 * 0.25 + 2 * 0.5) / (1 + 2 + 1 + 6))


def test_training_stops_after_patience_and_keeps_the_best_weights(tmp_path: Path) -> None:
    overfits = with_optimiser(PLE, learning_rate=0.05, max_epochs=50, patience=2)
    run = trainer(make_spec(tmp_path, model=overfits))

    history = run.fit()

    losses = [row.validation_loss for row in history]
    assert len(history) < 50
    assert int(np.argmin(losses)) == len(losses) - 3  # two epochs waited
    assert [row.is_best for row in history][-3:] == [True, False, False]
    assert run._validate()[0] == min(losses)


def test_validation_numbers_are_those_of_all_rows_without_padding(tmp_path: Path) -> None:
    run = trainer(make_spec(tmp_path))
    history = run.fit()
    best = min(history, key=lambda row: row.validation_loss)

    rows = run.predict_validation()

    assert len(rows.weight) == 4 * (2 * BLOCK_ROWS - BLOCK_ROWS // 4)
    assert set(rows.user_group) == {0, 1, 2}
    auc = [roc_auc_score(rows.labels[:, k], rows.logits[:, k]) for k in (0, 1)]
    assert list(best.validation_auc.values()) == pytest.approx(auc, abs=2e-3)  # few rows: some tie in a bin
    z, y = rows.logits.astype(float), rows.labels
    per_task = (np.logaddexp(0, z) - y * z).mean(axis=0)
    assert best.validation_loss == pytest.approx(per_task.sum(), rel=1e-5)


@pytest.mark.parametrize(
    ("facets", "column_of"),
    [
        (["user_cohort"], lambda rows: rows.user_group),
        (["item_cohort"], lambda rows: rows.item_group),
        (["user_cohort", "item_cohort"], lambda rows: 10 * rows.user_group + rows.item_group),
    ],
    ids=["user", "item", "both"],
)
def test_a_loss_by_cell_is_the_sum_of_means_over_task_and_combination_of_cohorts(
    facets: list[str], column_of: Callable[[Rows], np.ndarray], tmp_path: Path
) -> None:
    model = MFH.model_copy(update={"trunk": MFH.trunk | {"facets": facets}})
    run = trainer(make_spec(tmp_path, model=model))

    loss, _ = run._validate()

    parts = [(rows, logits) for rows, _, logits in run._validation_logits()]
    rows = Rows.concat([part for part, _ in parts])
    z, y = np.concatenate([logits for _, logits in parts]).astype(float), rows.labels
    entropy, column, is_real = np.logaddexp(0, z) - y * z, column_of(rows), rows.weight > 0
    cells = [entropy[is_real & (column == value), k].mean() for value in np.unique(column) for k in (0, 1)]
    assert len(cells) == 2 * run.groups
    assert loss == pytest.approx(sum(cells), rel=1e-5)


def test_equal_specs_give_equal_bytes_with_either_reader(tmp_path: Path) -> None:
    contents = []
    for reader in ("petastorm", "petastorm", "pyarrow"):
        spec = make_spec(tmp_path, reader=reader)
        train(spec, Single())
        contents.append((Path(spec.out_dir) / "weights.safetensors").read_bytes())
    other = make_spec(tmp_path, seed=18)
    train(other, Single())

    assert contents[0] == contents[1] == contents[2]
    assert (Path(other.out_dir) / "weights.safetensors").read_bytes() != contents[0]


def test_a_loss_that_is_not_finite_ends_training_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        LamplighterError, match=r"epoch 1: train loss .*lower model\.optimiser\.learning_rate"
    ):
        trainer(make_spec(tmp_path, model=with_optimiser(PLE, learning_rate=1e30))).fit()
