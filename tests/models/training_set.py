"""A small training set with known structure, as block files and as the spec of a run over them."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.encoder import CategoricalEncoding, DenseEncoding, Encoder
from core.model import Loss, Model, Optimiser
from core.schema import Task
from models.training.run_spec import BlockFiles, RunSpec

BLOCK_ROWS = 64
GROUPS, ITEM_GROUPS = ("new", "low", "high"), ("new", "old")
COHORTS = {"user_cohort": GROUPS, "item_cohort": ITEM_GROUPS}
TASKS = (
    Task(name="click", label="is_click = 1", kind="binary"),
    Task(name="like", label="is_like = 1", kind="binary"),
)
ENCODER = Encoder(
    categorical=(
        CategoricalEncoding(
            column="user_range", kind="vocabulary", size=4, dim=3, vocabulary=("a", "b", "c")
        ),
        CategoricalEncoding(column="item_id", kind="hash", size=32, dim=4),
        CategoricalEncoding(column="tab", kind="vocabulary", size=3, dim=2, vocabulary=("0", "1")),
    ),
    dense=(
        DenseEncoding(column="user_click_rate_all", transform="identity", mean=0.0, std=1.0),
        DenseEncoding(column="item_click_rate_all", transform="identity", mean=0.0, std=1.0),
        DenseEncoding(column="item_play_seconds_7d", transform="log1p", mean=1.0, std=2.0),
    ),
)
LEVEL = {"task_experts": 1, "shared_experts": 1, "expert_widths": [8]}
PLE = Model(
    name="ple",
    architecture="ple",
    trunk={"levels": [LEVEL, LEVEL]},
    tower=(4,),
    loss=Loss(normalise="per_task"),
    optimiser=Optimiser(learning_rate=0.01, batch_rows=32, max_epochs=3, patience=2),
)
SWITCHER = {"kind": "ple", "trunk": {"levels": [LEVEL]}}
MFH = PLE.model_copy(
    update={
        "name": "mfh",
        "architecture": "mfh",
        "trunk": {"facets": ["user_cohort"], "level1": SWITCHER, "level2": SWITCHER},
        "loss": Loss(normalise="per_cell"),
    }
)
MFH_ITEM = MFH.model_copy(update={"trunk": MFH.trunk | {"facets": ["user_cohort", "item_cohort"]}})

AITM = PLE.model_copy(
    update={
        "name": "aitm",
        "architecture": "aitm",
        "trunk": {"widths": [8], "after": {"like": "click"}, "calibrator": 5.0},
    }
)


def arrays(rows: int, seed: int) -> dict[str, np.ndarray]:
    """Examples whose click and like depend on two of the dense columns; some values are null."""
    rng = np.random.default_rng(seed)
    categorical = np.stack([rng.integers(0, c.size, rows) for c in ENCODER.categorical], axis=1)
    dense = rng.normal(size=(rows, len(ENCODER.dense))).astype("<f4")
    logit = 1.5 * dense[:, 0] - dense[:, 1]
    labels = np.stack([rng.random(rows) < 1 / (1 + np.exp(-z)) for z in (logit, 0.5 * logit - 1)], axis=1)
    dense[rng.random(dense.shape) < 0.05] = np.nan
    return {
        "categorical": categorical.astype("<i4"),
        "dense": dense,
        "labels": labels.astype("<f4"),
        "mask": np.ones((rows, len(TASKS)), np.uint8),
        "weight": np.ones(rows, "<f4"),
        "user_group": rng.integers(0, len(GROUPS), rows).astype(np.uint8),
        "item_group": rng.integers(0, len(ITEM_GROUPS), rows).astype(np.uint8),
    }


def to_blocks(split: str, shard: int, blocks: int) -> list[dict[str, Any]]:
    """Rows of `training_blocks`; the last quarter of a shard's last block is padding."""
    rows = []
    for no in range(blocks):
        block = arrays(BLOCK_ROWS, seed=1000 * (split == "validation") + 100 * shard + no)
        if no == blocks - 1:
            block["weight"][-BLOCK_ROWS // 4 :] = 0
        rows.append(
            {
                "block_id": f"{split}-{shard}-{no}",
                "training_set": "t1",
                "split": split,
                "shard": shard,
                "block_no": no,
                "rows": int((block["weight"] > 0).sum()),
                **{name: values.tobytes() for name, values in block.items()},
            }
        )
    return rows


def write_blocks(folder: Path, split: str, shards: int = 4, blocks: int = 3) -> list[str]:
    """Write a split as block files, one per shard; return their URIs."""
    uris = []
    for shard in range(shards):
        path = folder / f"{split}-{shard}.parquet"
        pq.write_table(pa.Table.from_pylist(to_blocks(split, shard, blocks)), path)
        uris.append(f"file://{path}")
    return uris


def make_spec(folder: Path, **changes: Any) -> RunSpec:
    """Write block files, and return the spec of a small run over them; fields can be set."""
    (folder / "out").mkdir(exist_ok=True)
    fields = {
        "blocks": BlockFiles(
            train=tuple(write_blocks(folder, "train")),
            validation=tuple(write_blocks(folder, "validation", blocks=2)),
        ),
        "block_rows": BLOCK_ROWS,
        "shuffle_blocks": 2,
        "encoder": ENCODER,
        "model": PLE,
        "tasks": TASKS,
        "cohorts": COHORTS,
        "seed": 17,
        "distributed": "single",
        "reader": "petastorm",
        "out_dir": str(folder / "out"),
    }
    return RunSpec.model_validate(fields | changes)


def with_optimiser(model: Model, **changes: float) -> Model:
    """Return the model with some options of its optimiser set."""
    return model.model_copy(update={"optimiser": model.optimiser.model_copy(update=changes)})
