"""Lists of the scorer against a plain forward over all pairs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from conf.errors import LamplighterError
from conf.model import Model
from models.bundle import Bundle, Manifest, write_bundle
from models.calibration import Calibration
from models.model import build_model
from models.scorer import USERS_AT_ONCE, PairScorer
from tests.models.training_set import ENCODER, GROUPS, MFH, PLE, TASKS

NAMES = tuple(task.name for task in TASKS)
RANKING = {"click": 0.5, "like": 2.0}
ITEMS = 37
# columns of ENCODER: user_range, item_id, tab; user rate, item rate, item seconds
USER, ITEM, CONTEXT = ([0], [0]), ([1], [1, 2]), ([2], [])


def bundle(folder: Path, model: Model = PLE) -> Bundle:
    weights = build_model(model, ENCODER, NAMES, {"user_cohort": GROUPS}, seed=3).state_dict()
    weights = {name: 3 * value for name, value in weights.items()}  # so that scores differ well
    save_file(weights, folder / "trained.safetensors")
    calibration = Calibration(
        tasks=NAMES,
        groups=GROUPS,
        slopes=(0.5, 2.0),
        intercepts=(0.1, -0.2),
        offsets=((0.0, 0.1, 0.5), (0.0, -0.3, 0.2)),
    )
    manifest = Manifest(
        model_version="m",
        training_set="t1",
        tasks=TASKS,
        group_column="user_cohort",
        groups=GROUPS,
        rule_version=1,
        columns={},
        table_versions={},
        code_revision="abc",
        seed=3,
    )
    return write_bundle(
        folder / "bundle", folder / "trained.safetensors", model, ENCODER, calibration, manifest
    )


def rows(count: int, seed: int, places: tuple[list[int], list[int]]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    categorical = np.stack([rng.integers(0, ENCODER.categorical[c].size, count) for c in places[0]], axis=1)
    return categorical, rng.normal(size=(count, len(places[1]))).astype(np.float32)


POOL, CONTEXT_ROW = rows(ITEMS, 1, ITEM), rows(1, 2, CONTEXT)
ITEM_IDS = np.random.default_rng(4).permutation(1000)[:ITEMS]


def scorer(of: Bundle, **changes: Any) -> PairScorer:
    arguments = {
        "item_ids": ITEM_IDS,
        "items": POOL,
        "context": (CONTEXT_ROW[0][0], CONTEXT_ROW[1][0]),
        "ranking": RANKING,
    }
    return PairScorer(of, **(arguments | changes))


@pytest.mark.parametrize("model", [PLE, MFH], ids=["ple", "mfh"])
@pytest.mark.parametrize("group", [0, 2])
def test_lists_are_those_of_a_plain_forward(model: Model, group: int, tmp_path: Path) -> None:
    of = bundle(tmp_path, model)
    users = rows(2 * USERS_AT_ONCE + 3, 5, USER)
    users[1][0] = np.nan

    top = scorer(of).top_k(*users, group=group, k=10)

    for u in range(len(users[0])):
        categorical = np.zeros((ITEMS, 3), np.int64)
        dense = np.zeros((ITEMS, 3), np.float32)
        for (c, d), (own_c, own_d) in (
            (USER, (users[0][u], users[1][u])),
            (ITEM, POOL),
            (CONTEXT, CONTEXT_ROW),
        ):
            categorical[:, c], dense[:, d] = own_c, own_d
        with torch.inference_mode():
            groups = torch.full((ITEMS,), group)
            logits = of.model()(torch.from_numpy(categorical), torch.from_numpy(dense), groups)
        p = of.calibration.apply(logits.numpy(), groups.numpy())
        score = p[:, 0] ** 0.5 * p[:, 1] ** 2
        np.testing.assert_allclose(top.score[u], np.sort(score)[::-1][:10], rtol=1e-5)
        np.testing.assert_allclose(top.probabilities[u], p[top.item[u]], rtol=1e-5)
        np.testing.assert_allclose(score[top.item[u]], top.score[u], rtol=1e-5)


@pytest.mark.parametrize("model", [PLE, MFH], ids=["ple", "mfh"])
def test_a_user_gets_the_same_bytes_in_any_company(model: Model, tmp_path: Path) -> None:
    lists = scorer(bundle(tmp_path, model))
    users = rows(3 * USERS_AT_ONCE + 5, 6, USER)
    together = lists.top_k(*users, group=1, k=ITEMS)
    shuffled = np.random.default_rng(7).permutation(len(users[0]))

    regrouped = lists.top_k(users[0][shuffled], users[1][shuffled], group=1, k=ITEMS)
    alone = [lists.top_k(users[0][[u]], users[1][[u]], group=1, k=ITEMS) for u in range(20)]

    np.testing.assert_array_equal(regrouped.score, together.score[shuffled])
    np.testing.assert_array_equal(regrouped.probabilities, together.probabilities[shuffled])
    np.testing.assert_array_equal(np.concatenate([one.score for one in alone]), together.score[:20])
    np.testing.assert_array_equal(np.concatenate([one.item for one in alone]), together.item[:20])


def test_equal_scores_stand_in_order_of_item_id(tmp_path: Path) -> None:
    twins = tuple(np.repeat(part[:3], [10, 10, 17], axis=0) for part in POOL)

    top = scorer(bundle(tmp_path), items=twins).top_k(*rows(4, 8, USER), group=0, k=ITEMS)

    for u in range(4):
        assert len(set(top.score[u])) == 3
        for value in set(top.score[u]):
            ids = ITEM_IDS[top.item[u][top.score[u] == value]]
            assert (np.diff(ids) > 0).all()


def test_a_list_is_as_long_as_the_pool_at_most_and_nobody_gives_no_lists(tmp_path: Path) -> None:
    lists = scorer(bundle(tmp_path))

    assert lists.top_k(*rows(2, 9, USER), group=0, k=99).item.shape == (2, ITEMS)
    nobody = lists.top_k(*(part[:0] for part in rows(1, 9, USER)), group=0, k=5)
    assert (nobody.item.shape, nobody.probabilities.shape, nobody.score.shape) == ((0, 5), (0, 5, 2), (0, 5))


def test_wrong_inputs_are_refused_with_what_was_expected(tmp_path: Path) -> None:
    of = bundle(tmp_path)
    with pytest.raises(LamplighterError, match=r"names \['share'\], but the binary tasks of model m are"):
        scorer(of, ranking={"share": 1.0})
    with pytest.raises(LamplighterError, match="pool of items is empty"):
        scorer(of, item_ids=ITEM_IDS[:0], items=(POOL[0][:0], POOL[1][:0]))
    with pytest.raises(LamplighterError, match=r"user columns are 2 categorical and 1 dense, .* has 1 and 1"):
        scorer(of).top_k(np.zeros((1, 2)), np.zeros((1, 1)), group=0, k=1)
