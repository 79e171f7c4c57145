"""Parts of the gradient by cohort, against the trainer's own gradient and cases known by construction."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.memory import MemoryRows
from core.encoder import Encoder
from core.model import InputLayer, Loss, Model, Optimiser
from core.schema import Task
from models.describe.gradients import GradientShare, cohort_gradients, gradient_shares
from models.model import MultiTaskModel, build_model
from models.training.distributed import Single
from models.training.reader import Batch, Rows
from models.training.run_spec import FitSpec
from models.training.trainer import Trainer
from tests.models.conftest import TRUNKS

COHORTS = ("new", "low", "high")
TASKS = (
    Task(name="click", label="click", kind="binary", weight=0.7),
    Task(name="like", label="like", kind="binary", weight=1.3, decay=0.5),
)
WITH_REGRESSION = (TASKS[0], TASKS[1].model_copy(update={"kind": "regression", "huber": 0.5}))
"""A learnt weight has a factor of its own for regressions."""
ROWS = 90

Make = Callable[..., tuple[MultiTaskModel, FitSpec]]


@pytest.fixture
def make(encoder: Encoder) -> Make:
    """Build one of TRUNKS, and the spec of its training."""

    def build(
        name: str, loss: Loss | None = None, input_layer: InputLayer | None = None, **changes: Any
    ) -> tuple[MultiTaskModel, FitSpec]:
        architecture, trunk = TRUNKS[name]
        cohorts = {"user_cohort": COHORTS, "item_cohort": ("old", "young")}
        config = Model(
            name=name,
            architecture=architecture,
            trunk=trunk | changes,
            tower=(4,),
            input=input_layer or InputLayer(),
            loss=loss or Loss(normalise="per_task"),
            optimiser=Optimiser(learning_rate=0.01, batch_rows=ROWS, max_epochs=1, patience=1),
        )
        tasks = WITH_REGRESSION if config.loss.weighting == "uncertainty" else TASKS
        spec = FitSpec(model=config, tasks=tasks, cohorts=cohorts, seed=1)
        model = build_model(config, encoder, [task.name for task in TASKS], cohorts, seed=1)
        if name == "aitm":  # its calibrator acts where `like` is above `click`, which it follows
            with torch.no_grad():
                model.network.towers["like_tower"][-1].bias.add_(1)
        return model, spec

    return build


@pytest.fixture
def rows(make_batch: Callable[..., tuple[Tensor, Tensor, Tensor]]) -> Rows:
    """Rows of cohorts in unequal shares, with weights, padding, and labels outside of a sample space."""
    categorical, dense, _ = make_batch(ROWS)
    rng = np.random.default_rng(3)
    mask = rng.random((ROWS, 2)) < 0.8
    labels = (rng.random((ROWS, 2)) < 0.4).astype(np.float32)
    return Rows(
        categorical=categorical.numpy().astype(np.int32),
        dense=dense.numpy(),
        labels=np.where(mask, labels, np.nan).astype(np.float32),
        mask=mask,
        weight=rng.choice([0.0, 1.0, 2.0], ROWS, p=[0.1, 0.6, 0.3]).astype(np.float32),
        user_group=rng.choice(3, ROWS, p=[0.1, 0.3, 0.6]).astype(np.uint8),
        item_group=rng.integers(0, 2, ROWS).astype(np.uint8),
    )


def whole_of(parts: dict[str, dict[str, Tensor]], name: str) -> Tensor:
    return torch.stack([of_cohort[name].sum(0) for of_cohort in parts.values()]).sum(0)


def assert_equal(found: Tensor, expected: Tensor, what: str) -> None:
    scale = float(expected.abs().max())
    torch.testing.assert_close(
        found, expected.double(), rtol=1e-4, atol=1e-6 * scale + 1e-9, msg=lambda m: f"{what}: {m}"
    )


def of_group(shares: list[GradientShare], cohort: str) -> dict[tuple[str, tuple[str, ...]], GradientShare]:
    return {(s.group.name, s.group.cohorts): s for s in shares if s.cohort == cohort}


LOSSES = [
    Loss(normalise="per_cell"),
    Loss(normalise="per_task"),
    Loss(normalise="global"),
    Loss(normalise="per_task", weighting="uncertainty"),
]
CASES = [(name, Loss(normalise="per_task")) for name in TRUNKS] + [("mfh", loss) for loss in LOSSES]


@pytest.mark.parametrize(
    ("name", "loss"), CASES, ids=[f"{n} {loss.normalise} {loss.weighting}" for n, loss in CASES]
)
def test_parts_of_cohorts_add_up_to_the_gradient_of_the_trainers_step(
    make: Make, rows: Rows, name: str, loss: Loss
) -> None:
    model, spec = make(name, loss)
    parts = cohort_gradients(model, spec, rows)
    own, penalty = dict(model.named_parameters()), model.network.trunk.penalty()  # sluice has one
    of_penalty: list[Tensor | None] = [None] * len(own)
    if penalty is not None:
        of_penalty = [*torch.autograd.grad(penalty, [*own.values()], allow_unused=True)]
    trainer = Trainer(model, spec, MemoryRows(rows), MemoryRows(rows), Single())
    group = model.group_of(rows.user_group, rows.item_group)

    trainer.step(Batch.of(rows, group, torch.device("cpu")), epoch=0)

    assert [*parts] == [*COHORTS]
    for (parameter_name, parameter), added in zip(own.items(), of_penalty, strict=True):
        assert parameter.grad is not None
        of_rows = parameter.grad if added is None else parameter.grad - added
        assert_equal(whole_of(parts, parameter_name), of_rows, parameter_name)


def test_tables_with_sparse_gradients_count_like_others(make: Make, rows: Rows) -> None:
    (model, spec), (sparse, _) = make("ple"), make("ple", input_layer=InputLayer(sparse_rows=1))

    parts, of_sparse = cohort_gradients(model, spec, rows), cohort_gradients(sparse, spec, rows)

    for cohort in COHORTS:
        for name, gradient in parts[cohort].items():
            assert_equal(of_sparse[cohort][name], gradient, name)


@pytest.mark.parametrize("name", ["mfh", "aitm"])
def test_how_rows_are_cut_into_batches_does_not_matter(make: Make, rows: Rows, name: str) -> None:
    model, spec = make(name)

    at_once, in_sevens = (cohort_gradients(model, spec, rows, batch_rows=n) for n in (ROWS, 7))

    for cohort in COHORTS:
        for parameter, gradient in at_once[cohort].items():
            assert_equal(in_sevens[cohort][parameter], gradient, parameter)


def test_the_model_stays_as_it_was(make: Make, rows: Rows) -> None:
    model, spec = make("mfh")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()

    cohort_gradients(model, spec, rows)

    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_cohort_without_rows_has_no_share(make: Make, rows: Rows) -> None:
    model, spec = make("ple")
    without = rows.take(np.flatnonzero(rows.user_group != 0))

    shares = gradient_shares(model, spec, without)

    for share in shares:
        if share.cohort == "new":
            assert (share.row_share, share.norm, share.norm_share) == (0, 0, 0)
            assert share.cosine is None
            assert share.noise is None
        else:
            assert share.norm_share is not None
            assert 0 < share.norm_share < 1


def test_padding_is_not_counted(make: Make, rows: Rows) -> None:
    model, spec = make("ple")
    padding = replace(rows, weight=np.where(rows.user_group == 0, 0, rows.weight).astype(np.float32))

    shares = gradient_shares(model, spec, padding)

    assert {(s.row_share, s.norm) for s in shares if s.cohort == "new"} == {(0.0, 0.0)}
    assert sum({s.cohort: s.row_share for s in shares}.values()) == pytest.approx(1)


@pytest.mark.parametrize("name", ["flat", "h_mtl", "mfh_on_level_0", "star", "mlora"])
def test_what_serves_one_cohort_gets_its_gradient_from_this_cohort_alone(
    make: Make, rows: Rows, name: str
) -> None:
    """The groups are known from the drawn graph, the shares from gradients: they must agree."""
    model, spec = make(name)

    shares = gradient_shares(model, spec, rows)

    own = [share for share in shares if share.group.cohorts == ("new",)]
    assert {share.group.name for share in own} >= {"towers.*_tower"}
    for share in own:
        is_own = share.cohort == "new"
        assert share.norm_share == (1 if is_own else 0), share.group
        assert share.cosine is None
    for share in shares:
        if share.group.cohorts == COHORTS and share.group.name != "input.tables":
            assert share.norm_share is not None
            assert 0 < share.norm_share < 1, share.group


def test_cells_of_items_are_of_all_user_cohorts(make: Make, rows: Rows) -> None:
    model, spec = make("flat", facets=["item_cohort", "user_cohort"])

    shares = gradient_shares(model, spec, rows)

    towers = [share for share in shares if share.group.name == "towers.*_tower"]
    assert [share.group.cohorts for share in towers[::3]] == [("new",), ("low",), ("high",)]
    for share in towers:
        assert share.norm_share == (1 if share.group.cohorts == (share.cohort,) else 0)


def as_new(rows: Rows, flips: bool) -> Rows:
    """Return rows of `low` users, and after them the same as of new ones; their labels may be flipped."""
    low = rows.take(np.flatnonzero(rows.user_group == 1))
    labels = 1 - low.labels if flips else low.labels
    new = replace(low, labels=labels, user_group=np.zeros_like(low.user_group))
    return Rows.concat([low, new])


def test_equal_rows_agree_and_opposite_labels_conflict(make: Make, rows: Rows) -> None:
    model, spec = make("shared_bottom")
    equal = gradient_shares(model, spec, as_new(rows, flips=False))

    for share in equal:
        if share.cohort != "high":
            assert share.norm_share == pytest.approx(0.5)
            assert share.cosine == pytest.approx(1)
            assert share.row_share == pytest.approx(0.5)

    with torch.no_grad():  # probabilities of 0.5: a flipped label turns the gradient around
        for tower in model.network.towers.values():
            for parameter in tower[-1].parameters():
                parameter.zero_()
    opposite = of_group(gradient_shares(model, spec, as_new(rows, flips=True)), "new")
    towers = opposite["towers.*_tower", COHORTS]
    assert towers.cosine == pytest.approx(-1)
    assert towers.norm_share == pytest.approx(0.5)


def test_noise_is_what_halves_of_a_cohort_do_not_share(make: Make, rows: Rows) -> None:
    model, spec = make("shared_bottom")
    low = rows.take(np.flatnonzero(rows.user_group == 1))

    twice = gradient_shares(model, spec, Rows.concat([low, low]))

    assert all(share.noise == pytest.approx(0, abs=1e-9) for share in twice if share.cohort == "low")

    # Labels that no weights explain better than these: all that is left is noise.
    with torch.no_grad():
        for tower in model.network.towers.values():
            for parameter in tower[-1].parameters():
                parameter.zero_()
    rng, noise = np.random.default_rng(5), []
    for _ in range(40):
        labels = (rng.random(rows.labels.shape) < 0.5).astype(np.float32)
        found = of_group(gradient_shares(model, spec, replace(rows, labels=labels)), "high")
        share = found["towers.*_tower", COHORTS]
        assert share.noise is not None
        noise.append((share.noise * share.norm**2, share.norm**2))
    apart, whole = np.mean(noise, axis=0)
    assert apart / whole == pytest.approx(1, abs=0.35)


def test_shares_are_those_of_all_numbers_of_a_group(make: Make, rows: Rows) -> None:
    model, spec = make("shared_bottom")
    parts = cohort_gradients(model, spec, rows)

    shares = gradient_shares(model, spec, rows)

    bottom = of_group(shares, "new")["trunk.bottom", COHORTS]
    flat = {
        cohort: torch.cat([found[name].sum(0).flatten() for name in bottom.group.parameters])
        for cohort, found in parts.items()
    }
    rest = flat["low"] + flat["high"]
    assert bottom.numbers == len(rest)
    assert bottom.norm == pytest.approx(float(flat["new"].norm()))
    assert bottom.norm_share == pytest.approx(bottom.norm / sum(float(g.norm()) for g in flat.values()))
    cosine = torch.nn.functional.cosine_similarity(flat["new"], rest, dim=0)
    assert bottom.cosine == pytest.approx(float(cosine))
