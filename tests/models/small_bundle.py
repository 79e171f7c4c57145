"""A bundle with weights that make scores differ, and a pool of items for it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file

from core.encoder import Encoder
from core.model import Model
from models.model import build_model
from models.serving.bundle import Bundle, Manifest, write_bundle
from models.serving.calibration import Calibration
from models.serving.crosses import UserVectors
from models.serving.scorer import PairScorer, Pool
from models.serving.selection import Rules, select
from tests.models.training_set import COHORTS, ENCODER, GROUPS, ITEM_GROUPS, PLE, TASKS

NAMES = tuple(task.name for task in TASKS)
RANKING = {"click": 0.5, "like": 2.0}
ITEMS = 37
# columns of ENCODER: user_range, item_id, tab; user rate, item rate, item seconds
USER, ITEM, CONTEXT = ([0], [0]), ([1], [1, 2]), ([2], [])


def bundle(
    folder: Path, model: Model = PLE, encoder: Encoder = ENCODER, columns: dict[str, str] | None = None
) -> Bundle:
    weights = build_model(model, encoder, NAMES, COHORTS, seed=3).state_dict()
    weights = {name: 3 * value for name, value in weights.items()}  # so that scores differ well
    drawn = torch.Generator().manual_seed(4)
    for name, value in weights.items():
        if name.endswith("_default.last.weight"):  # 0 at the start
            weights[name] = 0.05 * torch.randn(value.shape, generator=drawn)
    save_file(weights, folder / "trained.safetensors")
    calibration = Calibration(
        tasks=NAMES,
        groups=GROUPS,
        slopes=(0.5, 2.0),
        intercepts=(0.1, -0.2),
        offsets=((0.0, 0.1, 0.5), (0.0, -0.3, 0.2)),
        cohort_slopes=((1.0, 0.8, 1.5), (0.9, 1.0, 1.1)),
    )
    manifest = Manifest(
        model_version="m",
        training_set="t1",
        tasks=TASKS,
        cohorts=COHORTS,
        rule_versions=dict.fromkeys(COHORTS, 1),
        columns=columns or {},
        table_versions={},
        code_revision="abc",
        seed=3,
    )
    return write_bundle(
        folder / "bundle", folder / "trained.safetensors", model, encoder, calibration, manifest
    )


def rows(count: int, seed: int, places: tuple[list[int], list[int]]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    categorical = np.stack([rng.integers(0, ENCODER.categorical[c].size, count) for c in places[0]], axis=1)
    return categorical, rng.normal(size=(count, len(places[1]))).astype(np.float32)


ITEM_ROWS, CONTEXT_ROW = rows(ITEMS, 1, ITEM), rows(1, 2, CONTEXT)
ITEM_IDS = np.random.default_rng(4).permutation(1000)[:ITEMS]
ITEM_GROUP = np.random.default_rng(5).integers(0, len(ITEM_GROUPS), ITEMS)


def pool(**changes: Any) -> Pool:
    """All items, in one context, or with changes."""
    parts = {
        "item_ids": ITEM_IDS,
        "item_group": ITEM_GROUP,
        "items": ITEM_ROWS,
        "context": (CONTEXT_ROW[0][0], CONTEXT_ROW[1][0]),
    }
    return Pool(**(parts | changes))


class TopK(NamedTuple):
    """Lists of users, best first: places of items and scores, (U, k), and predictions, (U, k, K)."""

    item: np.ndarray
    score: np.ndarray
    probabilities: np.ndarray


def predicted(
    scorer: PairScorer,
    users: tuple[np.ndarray, np.ndarray],
    user_group: int,
    vectors: Sequence[UserVectors] = (),
    own: np.ndarray | None = None,
) -> np.ndarray:
    """Predictions of all users of a call, (U, I, K)."""
    parts = [part for _, part in scorer.predictions(*users, user_group, vectors, own)]
    return np.concatenate([*parts, np.empty((0, ITEMS, len(scorer.tasks)))])


def top_k(
    scorer: PairScorer,
    users: tuple[np.ndarray, np.ndarray],
    user_group: int,
    k: int,
    vectors: Sequence[UserVectors] = (),
) -> TopK:
    """The k best items of each user, by RANKING."""
    found = predicted(scorer, users, user_group, vectors)
    score = np.prod([found[..., scorer.tasks.index(name)] ** w for name, w in RANKING.items()], axis=0)
    nothing_new = Rules("", k, (), 0, np.zeros(ITEMS, bool), np.zeros(ITEMS, np.uint64))
    lists = select(score, np.ones(score.shape, bool), range(len(score)), nothing_new)
    item = lists.item.reshape(len(score), -1) if len(score) else np.empty((0, min(k, ITEMS)), np.int64)
    u = np.arange(len(score))[:, None]
    return TopK(item, score[u, item], found[u, item])
