"""Pooled towers: equations, both limits of the prior, learning of its variances by training itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from bench.memory import MemoryRows
from core.encoder import DenseEncoding, Encoder
from core.errors import ConfigError
from core.model import Loss, Model, Optimiser
from core.schema import Task
from models.architectures.pooled import PooledConfig, PooledTrunk
from models.model import MultiTaskModel, build_model
from models.modules.made import fold
from models.modules.network import Network
from models.serving.bundle import Manifest, read_bundle, write_bundle
from models.serving.calibration import fit_calibration
from models.training.distributed import Single
from models.training.losses import Normalise
from models.training.reader import Rows
from models.training.run_spec import FitSpec
from models.training.trainer import Trainer
from tests.models.architectures.test_made import act, layers_of, norms_of
from tests.models.test_trunks import perturbed, x_of

FACETS = {"task": ("click", "like"), "user_cohort": ("new", "low", "high"), "item_cohort": ("old", "young")}
COHORTS = {"user_cohort": ("new", "low", "high", "none")}
"""Of the rows of this file; nobody is of the last one."""
NAMES = ("click", "like", "share")
TASKS = tuple(Task(name=name, label=name, kind="binary") for name in NAMES)
WIDTH = 6
ENCODER = Encoder(
    categorical=(),
    dense=tuple(
        DenseEncoding(column=f"user_x{n}", transform="identity", mean=0.0, std=1.0) for n in range(WIDTH)
    ),
)


def network_of(norm: str = "none", tower: tuple[int, ...] = (3,)) -> Network:
    """Three facets, in double."""
    config = PooledConfig(facets=("user_cohort", "item_cohort"), widths=(7, 4), norm=norm)
    return Network(PooledTrunk(6, FACETS, config), FACETS["task"], tower, {}).double()


def moved(norm: str = "none") -> Network:
    network = network_of(norm)
    perturbed(network)  # type: ignore[arg-type]
    return network


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_every_cell_is_the_sum_of_the_terms_of_all_subsets_of_its_values(norm: str) -> None:
    network, x = moved(norm), x_of()
    terms, bottom = network.trunk.terms, network.trunk.bottom
    h, norms = x, norms_of(bottom)
    for j, (weight, bias) in enumerate(layers_of(bottom)):
        h = act(F.linear(h, weight, bias), norms[j] if norms else None)

    logits_BKG = network(x)

    for k, task in enumerate(FACETS["task"]):
        for u, user in enumerate(FACETS["user_cohort"]):
            for i, item in enumerate(FACETS["item_cohort"]):
                t, c, v = f"task={task}", f"user_cohort={user}", f"item_cohort={item}"
                own = [terms[n] for n in ("all", t, c, v, f"{t} {c}", f"{t} {v}", f"{c} {v}", f"{t} {c} {v}")]
                y = h
                for place in (0, 2):
                    y = F.linear(y, sum(o[place].weight for o in own), sum(o[place].bias for o in own))
                    y = y if place else torch.relu(y)
                torch.testing.assert_close(logits_BKG[:, k, 2 * u + i], y[:, 0], rtol=1e-10, atol=1e-10)
    assert len(terms) == 3 * 4 * 3  # each facet: one of its values, or none


def test_all_cells_start_as_one_and_a_cells_own_term_has_its_towers_gradient() -> None:
    network, x = network_of(), x_of()

    logits_BKG = network(x)
    logits_BKG[:, 1, 3].square().sum().backward()

    torch.testing.assert_close(logits_BKG, logits_BKG[:, :1, :1].expand_as(logits_BKG), rtol=0, atol=0)
    terms = network.trunk.terms
    own = "task=like user_cohort=low item_cohort=young"
    assert torch.equal(terms[own][0].weight.grad, terms["all"][0].weight.grad)
    read = {name for name, term in terms.items() if bool(term[2].bias.grad.any())}
    assert read == {name for name in terms if name == "all" or set(name.split()) <= set(own.split())}


def test_folded_for_scoring_a_cell_is_a_plain_tower_with_the_same_numbers() -> None:
    network, x = moved("layer"), x_of()
    before, before_5 = network(x), network.for_group(x, 5)

    fold(network)

    torch.testing.assert_close(network(x), before, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(network.for_group(x, 5), before_5, rtol=1e-12, atol=1e-12)
    shapes = [
        (m.in_features, m.out_features) for m in network.towers["click|new|old_tower"] if hasattr(m, "weight")
    ]
    assert shapes == [(4, 3), (3, 1)]
    assert all(type(layer) in (nn.Linear, nn.ReLU) for tower in network.towers.values() for layer in tower)


def test_towers_of_unequal_shape_are_refused() -> None:
    config = PooledConfig(facets=("user_cohort",), widths=(4,))
    with pytest.raises(ConfigError, match=r"towers: .* have other widths than click"):
        Network(PooledTrunk(6, FACETS, config), FACETS["task"], (3,), {"new": (2,)})


# --- training: rows of a truth with known variances ---------------------------------------------------


def model_of(normalise: Normalise = "per_task", tower: tuple[int, ...] = (), **optimiser: Any) -> Model:
    return Model(
        name="pooled",
        architecture="pooled",
        trunk={"facets": ["user_cohort"], "widths": [8], "norm": "layer"},
        tower=tower,
        loss=Loss(normalise=normalise),
        optimiser=Optimiser(
            **{"learning_rate": 0.01, "batch_rows": 64, "max_epochs": 3, "patience": 3} | optimiser
        ),
    )


def build(model: Model, seed: int = 1) -> MultiTaskModel:
    return build_model(model, ENCODER, NAMES, COHORTS, seed)


def subset_of(term: str) -> str:
    return "+".join(part.split("=")[0] for part in term.split())


def truth_of(variances: dict[str, float], seed: int = 3) -> MultiTaskModel:
    """A model whose deviations are drawn."""
    model, drawn = build(model_of()), torch.Generator().manual_seed(seed)
    variances = {"all": 0.1} | variances
    with torch.no_grad():
        for name, term in model.network.trunk.terms.items():
            for parameter in term.parameters():
                parameter.copy_(
                    torch.randn(parameter.shape, generator=drawn) * variances[subset_of(name)] ** 0.5
                )
    return model.eval()


def logits(model: MultiTaskModel, dense: Tensor, group: Tensor) -> Tensor:
    with torch.inference_mode():
        return model.eval()(torch.zeros(len(dense), 0, dtype=torch.int64), dense, group)


def rows_of(
    truth: MultiTaskModel, count: int, seed: int, shares: tuple[float, ...] = (0.05, 0.25, 0.7)
) -> Rows:
    random = np.random.default_rng(seed)
    dense, group = random.normal(size=(count, WIDTH)).astype(np.float32), random.choice(3, count, p=shares)
    chances = logits(truth, torch.from_numpy(dense), torch.from_numpy(group)).sigmoid().numpy()
    return Rows(
        categorical=np.zeros((count, 0), np.int32),
        dense=dense,
        labels=(random.random(chances.shape) < chances).astype(np.float32),
        mask=np.ones(chances.shape, np.bool_),
        weight=np.ones(count, np.float32),
        user_group=group.astype(np.uint8),
        item_group=np.zeros(count, np.uint8),
    )


def trainer_of(model: MultiTaskModel, config: Model, rows: Rows, tasks: tuple[Task, ...] = TASKS) -> Trainer:
    spec = FitSpec(model=config, tasks=tasks, cohorts=COHORTS, seed=1)
    return Trainer(model, spec, MemoryRows(rows), MemoryRows(rows.take(slice(0, 500))), Single())


def with_the_bottom_of(truth: MultiTaskModel, config: Model) -> MultiTaskModel:
    """A model to train, whose bottom is the true one and stays."""
    model = build(config, seed=2)
    model.network.trunk.bottom.load_state_dict(truth.network.trunk.bottom.state_dict())
    model.network.trunk.bottom.requires_grad_(False)
    return model


DEVIATIONS = {"task": 0.1, "user_cohort": 0.3, "task+user_cohort": 0.0}


def test_a_cell_without_rows_predicts_exactly_as_its_parents() -> None:
    config = model_of(tower=(3,))
    truth = truth_of({"task": 0.1, "user_cohort": 0.1, "task+user_cohort": 0.3})
    rows = rows_of(truth, 1500, seed=5)
    rows.mask[rows.user_group == 0, 1] = False  # `like` never has new users
    model = build(config)

    trainer_of(model, config, rows).fit()

    terms, x = (
        model.network.trunk.terms,
        model.input(torch.zeros(5, 0, dtype=torch.int64), x_of(5, WIDTH).float()),
    )
    h = model.network.trunk.bottom(x).squeeze(1)

    def tower(*names: str) -> Tensor:
        own = [terms[name] for name in ("all", *names)]
        y = torch.relu(
            F.linear(h, *(torch.stack([getattr(o[0], p) for o in own]).sum(0) for p in ("weight", "bias")))
        )
        return F.linear(y, *(torch.stack([getattr(o[2], p) for o in own]).sum(0) for p in ("weight", "bias")))

    cells = model.network(x)
    assert torch.equal(cells[:, [1], 0], tower("task=like", "user_cohort=new"))
    assert torch.equal(cells[:, [1], 3], tower("task=like"))  # nobody is of this cohort
    assert not torch.equal(cells[:, [0], 0], tower("task=click", "user_cohort=new"))
    for value in model.state_dict().values():
        assert bool(value.isfinite().all())


def test_a_cell_with_many_rows_is_free() -> None:
    """Linear towers and squared errors, so that the minimum of the loss has a closed form."""
    variance, truth = 0.1, truth_of({"task": 0.1, "user_cohort": 0.1, "task+user_cohort": 0.1}).double()
    config = PooledConfig(facets=("user_cohort",), widths=(8,), norm="layer")
    torch.manual_seed(1)
    network = Network(PooledTrunk(WIDTH, {"task": NAMES, **COHORTS}, config), NAMES, (), {}).double()
    trunk, drawn = network.trunk, torch.Generator().manual_seed(1)
    names, distance = list(trunk.terms), {}
    for count in (500, 5_000, 50_000):  # in each cell
        trunk.priors.strengths[:, 1:] = 1 / variance / count
        moments, pulls, free, loss = torch.zeros(180, 180).double(), torch.zeros(180).double(), {}, []
        for cell, tower in network.towers.items():
            x = torch.randn(count, WIDTH, generator=drawn, dtype=torch.float64)
            h = F.pad(trunk.bottom(x).squeeze(1).detach(), (0, 1), value=1.0)
            y = truth.network.towers[cell](h[:, :-1]).detach() + torch.randn(
                count, 1, generator=drawn, dtype=torch.float64
            )
            reads = torch.tensor([n in trunk._terms_of(cell.removesuffix("_tower")) for n in names]).double()
            moments += torch.kron(reads.outer(reads), h.T @ h / count)
            pulls += torch.kron(reads, (h.T @ y)[:, 0] / count)
            free[cell] = torch.linalg.lstsq(h, y).solution
            loss.append(lambda tower=tower, h=h, y=y: (tower(h[:, :-1]) - y).square().mean() / 2)
        solved = torch.linalg.solve(moments + trunk.priors.strengths[0].double().repeat_interleave(9).diag()
                                    + 1e-12 * torch.eye(180), pulls).view(20, 9)  # fmt: skip
        with torch.no_grad():
            for name, own in zip(names, solved, strict=True):
                trunk.terms[name][0].weight.copy_(own[None, :-1])
                trunk.terms[name][0].bias.copy_(own[-1:])
        total = torch.stack([of_cell() for of_cell in loss]).sum() + trunk.penalty()
        gradients = torch.autograd.grad(total, list(trunk.terms.parameters()))
        assert max(g.abs().max().item() for g in gradients) < 1e-9  # it is the minimum of training's loss
        apart = [network.towers[cell](h[:100, :-1]) - h[:100] @ own for cell, own in free.items()]
        distance[count] = torch.cat(apart).abs().mean().item()

    # As 1 / rows, once rows outweigh the prior in all directions that the bottom's output has.
    assert distance[500] > 0.03
    assert distance[50_000] < distance[5_000] / 5 < distance[500] / 20, distance


def excess(model: MultiTaskModel, truth: MultiTaskModel, cohort: int) -> float:
    """Cross entropy above that of the truth, mean over tasks."""
    dense = torch.randn(4000, WIDTH, generator=torch.Generator().manual_seed(9))
    z, best = (logits(m, dense, torch.full((4000,), cohort)) for m in (model, truth))
    p = best.sigmoid()
    return float(F.binary_cross_entropy_with_logits(z, p) - F.binary_cross_entropy_with_logits(best, p))


def test_training_finds_which_facets_differ_and_helps_the_smallest_cohort() -> None:
    truth, config = truth_of(DEVIATIONS), model_of(max_epochs=5, patience=5)
    rows = rows_of(truth, 8000, seed=5)
    pooled, free = with_the_bottom_of(truth, config), with_the_bottom_of(truth, config)
    free.network.trunk.after_epoch = lambda: None

    for model in (pooled, free):
        trainer_of(model, config, rows).fit()

    task, cohort, cell = pooled.network.trunk.priors.variances[0].tolist()
    drawn = {
        subset: np.mean([p.square().mean().item() for name, t in truth.network.trunk.terms.items()
                         if subset_of(name) == subset and "none" not in name for p in [t[0].weight]])
        for subset in DEVIATIONS
    }  # fmt: skip
    assert drawn["task"] / 2 < task < 2 * drawn["task"]
    assert drawn["user_cohort"] / 2 < cohort < 2 * drawn["user_cohort"]
    assert cell < 0.02
    assert excess(pooled, truth, 0) < 0.8 * excess(free, truth, 0)
    for other in (1, 2):
        assert excess(pooled, truth, other) < 1.05 * excess(free, truth, other)


# --- what updates are made of --------------------------------------------------------------------------


@pytest.mark.parametrize("normalise", ["per_task", "per_cell", "global"])
def test_a_trunk_is_told_what_a_row_weighs_in_a_step(normalise: Normalise) -> None:
    config, truth = model_of(normalise, batch_rows=200), truth_of(DEVIATIONS)
    rows = rows_of(truth, 200, seed=5)
    rows.mask[::3, 1] = False
    rows.weight[:] = np.linspace(0.5, 1.5, 200)
    rows.weight[-20:] = 0  # padding
    model, told = build(config), []
    tasks = (TASKS[0].model_copy(update={"weight": 0.5}), *TASKS[1:])
    trainer = trainer_of(model, config, rows, tasks)
    model.network.trunk.before_step = told.append

    trainer.train_epoch(0)

    by_cell = np.stack([(rows.mask * rows.weight[:, None])[rows.user_group == g].sum(0) for g in range(4)], 1)
    entries = (rows.mask & (rows.weight[:, None] > 0)).sum()
    with np.errstate(divide="ignore"):
        expected = {
            "per_task": np.repeat(1 / by_cell.sum(1, keepdims=True), 4, 1),
            "per_cell": np.where(by_cell > 0, 1 / by_cell, 0),
            "global": np.full((3, 4), 1 / entries),
        }[normalise]
    expected = expected * np.array([[0.5], [1], [1]])
    np.testing.assert_allclose(told[0], expected, rtol=1e-5)


@dataclass
class Both:
    """What two ranks in two threads hand to each other."""

    barrier: Barrier
    values: list[Any]


class Rank(Single):
    """One of two ranks."""

    def __init__(self, rank: int, both: Both) -> None:
        super().__init__()
        self.rank, self.size, self.both = rank, 2, both

    def all_reduce_sum(self, values: Tensor) -> Tensor:
        self.both.values[self.rank] = values
        self.both.barrier.wait()
        total: Tensor = self.both.values[0] + self.both.values[1]
        self.both.barrier.wait()
        return total

    def average_gradients(self, parameters: Any) -> None:
        parameters = list(parameters)
        super().average_gradients(parameters)
        for parameter in parameters:
            parameter.grad = self.all_reduce_sum(parameter.grad) / 2


@dataclass(frozen=True)
class Given:
    """The same batches in each epoch."""

    parts: list[Rows]

    def batches(self, batch_rows: int) -> Iterator[Rows]:
        return iter(self.parts)

    def shuffled_batches(self, batch_rows: int, window: int, seed: int, epoch: int) -> Iterator[Rows]:
        return iter(self.parts)


def test_two_ranks_learn_the_priors_of_one_and_have_the_same_penalty() -> None:
    truth, config = truth_of(DEVIATIONS), model_of(max_epochs=2, average_last=0.0)
    rows = rows_of(truth, 1200, seed=5)
    batches = [rows.take(slice(start, start + 60)) for start in range(0, 1200, 60)]
    splits = [
        [batch.take(slice(0, 40)) for batch in batches],
        [batch.take(slice(40, 60)) for batch in batches],
    ]
    spec = FitSpec(model=config, tasks=TASKS, cohorts=COHORTS, seed=1)

    def fit(model: MultiTaskModel, parts: list[Rows], ranks: Single) -> None:
        run = Trainer(model, spec, Given(parts), Given(parts), ranks)
        for epoch in range(2):
            run.train_epoch(epoch)
            model.network.trunk.after_epoch()

    alone, pair = build(config), [build(config), build(config)]
    fit(alone, batches, Single())
    both = Both(Barrier(2, timeout=60), [None, None])
    threads = [Thread(target=fit, args=(pair[r], splits[r], Rank(r, both))) for r in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    ours = alone.network.trunk
    for model in pair:
        trunk = model.network.trunk
        torch.testing.assert_close(trunk.priors.variances, ours.priors.variances, rtol=2e-3, atol=0)
        torch.testing.assert_close(trunk.priors.strengths, ours.priors.strengths, rtol=2e-3, atol=0)
        torch.testing.assert_close(trunk.penalty(), ours.penalty(), rtol=2e-3, atol=0)
    assert pair[0].network.trunk.penalty().item() == pair[1].network.trunk.penalty().item() > 0


def test_a_bundle_keeps_the_priors_and_training_goes_on_from_them(tmp_path: Path) -> None:
    config, rows = model_of(max_epochs=1), rows_of(truth_of(DEVIATIONS), 1000, seed=5)
    model = build(config)
    run = trainer_of(model, config, rows)
    run.fit()
    found = run.predict_validation()
    priors, penalty = model.network.trunk.priors, model.network.trunk.penalty().item()
    assert penalty > 0
    save_file(model.state_dict(), tmp_path / "trained.safetensors")
    manifest = Manifest(
        model_version="m", training_set="t1", tasks=TASKS, cohorts=COHORTS, rule_versions={"user_cohort": 1},
        columns={}, table_versions={}, code_revision="abc", seed=1,
    )  # fmt: skip
    calibration = fit_calibration(
        found.logits, found.labels, found.mask, found.weight, found.user_group, TASKS, COHORTS["user_cohort"]
    )
    write_bundle(
        tmp_path / "bundle", tmp_path / "trained.safetensors", config, ENCODER, calibration, manifest
    )

    again = build(config, seed=2)
    again.load_state_dict(read_bundle(tmp_path / "bundle").model().state_dict())

    assert torch.equal(again.network.trunk.priors.variances, priors.variances)
    assert again.network.trunk.penalty().item() == penalty
    second = trainer_of(again, config, rows)
    second.train_epoch(1)
    again.network.trunk.after_epoch()
    assert not torch.equal(again.network.trunk.priors.variances, priors.variances)
