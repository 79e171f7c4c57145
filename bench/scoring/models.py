"""Bundles with initial weights, in the sizes that the bench scores with, and users and items for them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save_file

from core.encoder import CategoricalEncoding, DenseEncoding, Encoder, Entity
from core.load import DEMO_DATASET, load_config
from core.model import Loss, Model, Optimiser
from core.schema import Task
from jobs.workers.listing import WorkerList
from models.model import build_model
from models.serving.bundle import Bundle, Manifest, write_bundle
from models.serving.calibration import Calibration
from models.serving.scorer import Pool
from models.serving.selection import Rules

TASKS = tuple(Task(name=f"t{n}", label="x", kind="binary") for n in range(3))
COHORTS = {"user_cohort": ("new", "low", "high"), "item_cohort": ("new", "old")}
COLUMNS: dict[Entity, int] = {"user": 8, "item": 8, "context": 4}
"""Categorical columns of each side, and as many dense ones: 20 + 20, as in bench.speed."""

IDS, DIM = 10_000, 16
_LEVEL = {"task_experts": 3, "shared_experts": 3, "expert_widths": [256]}
_SWITCHER = {"kind": "ple", "trunk": {"levels": [_LEVEL | {"task_experts": 1, "shared_experts": 1}]}}
_TREES = {"facets": ["user_cohort"], "level1": _SWITCHER, "level2": _SWITCHER}
_LARGE: dict[str, dict[str, Any]] = {"ple": {"levels": [_LEVEL, _LEVEL]}, "mfh": _TREES}


def to_bundle(folder: Path, architecture: str, size: str) -> Bundle:
    """Write the bundle of an architecture: `large`, as in bench.speed, or `demo`, as in conf/models."""
    names, encoder = [task.name for task in TASKS], to_encoder()
    model = to_model(architecture, size)
    weights = build_model(model, encoder, names, COHORTS, seed=1).state_dict()
    path = folder / f"{architecture}-{size}"
    path.mkdir()
    save_file({name: value.contiguous() for name, value in weights.items()}, path / "trained")
    nothing = (0.0,) * len(TASKS)
    calibration = Calibration(
        tasks=tuple(names),
        groups=COHORTS["user_cohort"],
        slopes=(1.0,) * len(TASKS),
        intercepts=nothing,
        offsets=(nothing,) * len(TASKS),
    )
    manifest = Manifest(
        model_version=path.name,
        training_set="bench",
        tasks=TASKS,
        cohorts=COHORTS,
        rule_versions=dict.fromkeys(COHORTS, 1),
        columns={
            **{encoding.column: "bigint" for encoding in encoder.categorical},
            **{encoding.column: "double" for encoding in encoder.dense},
        },
        table_versions={},
        code_revision="bench",
        seed=1,
    )
    return write_bundle(path / "bundle", path / "trained", model, encoder, calibration, manifest)


def to_model(architecture: str, size: str) -> Model:
    """Return the model configuration."""
    if size == "demo":
        return load_config(DEMO_DATASET, model=architecture).model
    return Model(
        name=architecture,
        architecture=architecture,
        trunk=_LARGE[architecture],
        tower=(128, 64),
        loss=Loss(normalise="per_task"),
        optimiser=Optimiser(learning_rate=0.001, batch_rows=4096, max_epochs=1, patience=1),
    )


def to_encoder() -> Encoder:
    """Return an encoder of all sides' columns."""
    names = [(side, f"{side}_{n}") for side, count in COLUMNS.items() for n in range(count)]
    return Encoder(
        categorical=tuple(
            CategoricalEncoding(column=f"{name}_id", side=side, kind="hash", size=IDS, dim=DIM)
            for side, name in names
        ),
        dense=tuple(
            DenseEncoding(column=name, side=side, transform="identity", mean=0.0, std=1.0)
            for side, name in names
        ),
    )


def to_rows(side: Entity, rows: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return encoded columns of users, items or contexts: ids (n, C) and dense values (n, F)."""
    random, columns = np.random.default_rng(seed), COLUMNS[side]
    return (
        random.integers(0, IDS, (rows, columns)),
        random.normal(size=(rows, columns)).astype(np.float32),
    )


def to_list(pool: Pool, ranking: Mapping[str, float], top_k: int) -> WorkerList:
    """Return a list that ranks all items for the users of every cohort."""
    items = len(pool.item_ids)
    everything = dict.fromkeys(COHORTS["user_cohort"], np.ones(items, bool))
    rules = Rules("", top_k, (), 0, np.zeros(items, bool), np.zeros(items, np.uint64))
    return WorkerList("home", ranking, everything, has_own=False, seen_days=0, rules=rules)


def to_pool(items: int) -> Pool:
    """Return a pool, a tenth of it in the cohort of new items."""
    categorical, dense = to_rows("context", 1, seed=3)
    group = (np.arange(items) % 10 > 0).astype(np.int64)
    return Pool(np.arange(items), group, to_rows("item", items, seed=2), (categorical[0], dense[0]))
