"""Lists of the scorer against a plain forward over all pairs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.encoder import DenseEncoding
from core.errors import LamplighterError
from core.model import InputLayer, Model
from models.modules.pairs import BLOCK, PairRows
from models.serving.bundle import Bundle
from models.serving.crosses import NO_KEY, Cross, UserVectors
from models.serving.scorer import LEAST_ROWS, PAIRS_AT_ONCE, PairScorer, rows_at_once
from tests.models.small_bundle import (
    CONTEXT,
    CONTEXT_ROW,
    ITEM,
    ITEM_GROUP,
    ITEM_IDS,
    ITEM_ROWS,
    ITEMS,
    USER,
    bundle,
    pool,
    predicted,
    rows,
    top_k,
)
from tests.models.training_set import ENCODER, MFH, MFH_ITEM, PLE

USERS_AT_ONCE = 16
"""Of a pass of LEAST_ROWS pairs: 27, of which the power of two."""


@pytest.fixture(autouse=True)
def _few_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.serving.scorer.MOST_ROWS", LEAST_ROWS)


def scorer(of: Bundle, for_all: np.ndarray | None = None, **changes: Any) -> PairScorer:
    return PairScorer(of, pool(**changes), for_all)


def of_facets(*facets: str) -> Model:
    return MFH_ITEM.model_copy(update={"trunk": MFH_ITEM.trunk | {"facets": facets}})


MODELS = {
    "ple": PLE,
    "by user": MFH,
    "by item": of_facets("item_cohort"),
    "by user and item": MFH_ITEM,
    "by item and user": of_facets("item_cohort", "user_cohort"),
    "learnt defaults": PLE.model_copy(
        update={
            "input": InputLayer(
                id_dropout={"item_id": 0.1, "user_range": 0.1},
                id_default={
                    "item_id": {"columns": ["item_click_rate_all"], "widths": [64, 64]},
                    "user_range": {"columns": ["user_click_rate_all"]},
                },
            )
        }
    ),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("group", [0, 2])
def test_lists_are_those_of_a_plain_forward(name: str, group: int, tmp_path: Path) -> None:
    of = bundle(tmp_path, MODELS[name])
    place_of_group = {  # among the columns of all cells
        "ple": 0 * ITEM_GROUP,
        "learnt defaults": 0 * ITEM_GROUP,
        "by user": 0 * ITEM_GROUP + group,
        "by item": ITEM_GROUP,
        "by user and item": 2 * group + ITEM_GROUP,
        "by item and user": 3 * ITEM_GROUP + group,
    }
    users = rows(2 * USERS_AT_ONCE + 3, 5, USER)
    users[1][0] = np.nan

    top = top_k(scorer(of), users, user_group=group, k=10)

    for u in range(len(users[0])):
        categorical = np.zeros((ITEMS, 3), np.int64)
        dense = np.zeros((ITEMS, 3), np.float32)
        for (c, d), (own_c, own_d) in (
            (USER, (users[0][u], users[1][u])),
            (ITEM, ITEM_ROWS),
            (CONTEXT, CONTEXT_ROW),
        ):
            categorical[:, c], dense[:, d] = own_c, own_d
        with torch.inference_mode():
            cells = of.model().all_cells(torch.from_numpy(categorical), torch.from_numpy(dense)).numpy()
        own = cells[np.arange(ITEMS), :, place_of_group[name]]
        p = of.calibration.apply(own, np.full(ITEMS, group))
        score = p[:, 0] ** 0.5 * p[:, 1] ** 2
        np.testing.assert_allclose(top.score[u], np.sort(score)[::-1][:10], rtol=1e-5)
        np.testing.assert_allclose(top.probabilities[u], p[top.item[u]], rtol=1e-5)
        np.testing.assert_allclose(score[top.item[u]], top.score[u], rtol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_a_pair_reads_the_vectors_of_its_user_by_the_keys_of_its_item(name: str, tmp_path: Path) -> None:
    def pair(column: str) -> DenseEncoding:
        return DenseEncoding(column=column, side="pair", transform="identity", mean=0.5, std=2.0)

    of_pairs = (pair("taste_a"), pair("again_a"), pair("taste_b"))
    of = bundle(tmp_path, MODELS[name], ENCODER.model_copy(update={"dense": (*ENCODER.dense, *of_pairs)}))
    rng = np.random.default_rng(6)
    taste = Cross(np.array([0, 2]), rng.integers(NO_KEY, 5, ITEMS), np.array([0, np.nan], np.float32))
    again = Cross(np.array([1]), np.arange(ITEMS), np.array([7], np.float32))
    users = rows(USERS_AT_ONCE + 3, 5, USER)
    count = len(users[0])
    known = [(u, v) for u in range(count) for v in rng.permutation(5)[: u % 4]]  # user 0 has no vector
    vectors = [
        UserVectors(*np.array(known).T, rng.normal(size=(len(known), 2)).astype(np.float32)),
        UserVectors(np.array([2, 17]), np.array([3, 0]), np.array([[1], [2]], np.float32)),
    ]

    lists = scorer(of, crosses=(taste, again))
    top = top_k(lists, users, user_group=1, k=ITEMS, vectors=vectors)
    own = [
        UserVectors(v.owner[v.owner == 2] - 2, v.key[v.owner == 2], v.values[v.owner == 2]) for v in vectors
    ]
    alone = top_k(lists, (users[0][2:3], users[1][2:3]), user_group=1, k=ITEMS, vectors=own)

    np.testing.assert_array_equal(alone.score[0], top.score[2])
    by_pair = {
        **{("taste", u, v): value for (u, v), value in zip(known, vectors[0].values, strict=True)},
        ("again", 2, 3): vectors[1].values[0],
        ("again", 17, 0): vectors[1].values[1],
    }
    model = of.model()
    for u in range(count):
        categorical, dense = np.zeros((ITEMS, 3), np.int64), np.zeros((ITEMS, 6), np.float32)
        for (c, d), (own_c, own_d) in (
            (USER, (users[0][u], users[1][u])), (ITEM, ITEM_ROWS), (CONTEXT, CONTEXT_ROW)
        ):  # fmt: skip
            categorical[:, c], dense[:, d] = own_c, own_d
        for item in range(ITEMS):
            dense[item, [3, 5]] = by_pair.get(("taste", u, taste.item_key[item]), taste.defaults)
            dense[item, [4]] = by_pair.get(("again", u, item), again.defaults)
        group = model.group_of(np.full(ITEMS, 1), ITEM_GROUP)
        with torch.inference_mode():
            logits = model(*map(torch.from_numpy, (categorical, dense, group)))
        p = of.calibration.apply(logits.numpy(), np.full(ITEMS, 1))
        np.testing.assert_allclose(top.probabilities[u], p[top.item[u]], rtol=1e-5)


def test_a_pool_without_the_crosses_of_the_model_is_refused(tmp_path: Path) -> None:
    of_pair = DenseEncoding(column="taste_a", side="pair", transform="identity", mean=0.0, std=1.0)
    of = bundle(tmp_path, encoder=ENCODER.model_copy(update={"dense": (*ENCODER.dense, of_pair)}))

    with pytest.raises(LamplighterError, match=r"pair columns are 0 categorical and 0 dense, .* has 0 and 1"):
        predicted(scorer(of), rows(2, 9, USER), user_group=0)


def test_items_of_a_group_share_a_forward_pass_that_computes_its_cells_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = scorer(bundle(tmp_path, MFH_ITEM))
    passes: list[tuple[int, int]] = []  # group, rows
    from_input = lists._model.from_input

    def seen(x: PairRows, group: int) -> torch.Tensor:
        passes.append((group, len(x)))
        return from_input(x, group)

    monkeypatch.setattr(lists._model, "from_input", seen)

    predicted(lists, rows(USERS_AT_ONCE, 5, USER), user_group=1)

    new, old = np.bincount(ITEM_GROUP)
    assert [(group, size // USERS_AT_ONCE) for group, size in passes] == [
        (2 * 1 + 0, new + -new % BLOCK),
        (2 * 1 + 1, old + -old % BLOCK),
    ]


def test_pools_of_equal_content_are_equal_and_an_item_of_another_group_makes_another_pool() -> None:
    assert pool() == pool(item_group=ITEM_GROUP.copy())
    assert hash(pool()) == hash(pool(item_group=ITEM_GROUP.copy()))
    assert pool() != pool(item_group=1 - ITEM_GROUP)
    cross = Cross(np.array([0]), ITEM_GROUP, np.array([0], np.float32))
    assert pool() != pool(crosses=[cross])


def test_a_pool_of_more_items_than_a_pass_has_rows_takes_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of, users = bundle(tmp_path, MFH_ITEM), rows(3, 5, USER)
    expected = predicted(scorer(of), users, 1)
    monkeypatch.setattr("models.serving.scorer.LEAST_ROWS", 12)
    monkeypatch.setattr("models.serving.scorer.MOST_ROWS", 12)

    lists = scorer(of)

    assert lists.users_at_once == 1
    np.testing.assert_allclose(predicted(lists, users, 1), expected, rtol=1e-6)


@pytest.mark.parametrize(("multiplications", "rows"), [(10_000, 8192), (2**17, 2048), (2_000_000, 1024)])
def test_passes_of_large_models_have_fewer_rows(
    multiplications: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    assert rows_at_once(multiplications) == rows


@pytest.mark.parametrize("model", [PLE, MFH, MFH_ITEM], ids=["ple", "mfh", "mfh_item"])
def test_the_scores_of_a_user_do_not_depend_on_the_other_users_of_a_call(
    model: Model, tmp_path: Path
) -> None:
    lists = scorer(bundle(tmp_path, model))
    users = rows(3 * USERS_AT_ONCE + 5, 6, USER)
    together = top_k(lists, users, user_group=1, k=ITEMS)
    shuffled = np.random.default_rng(7).permutation(len(users[0]))

    regrouped = top_k(lists, (users[0][shuffled], users[1][shuffled]), user_group=1, k=ITEMS)
    alone = [top_k(lists, (users[0][[u]], users[1][[u]]), user_group=1, k=ITEMS) for u in range(20)]

    np.testing.assert_array_equal(regrouped.score, together.score[shuffled])
    np.testing.assert_array_equal(regrouped.probabilities, together.probabilities[shuffled])
    np.testing.assert_array_equal(np.concatenate([one.score for one in alone]), together.score[:20])
    np.testing.assert_array_equal(np.concatenate([one.item for one in alone]), together.item[:20])


@pytest.mark.parametrize("name", ["ple", "learnt defaults"])
def test_equal_items_have_equal_scores_and_keep_the_order_of_the_pool(name: str, tmp_path: Path) -> None:
    twins = tuple(np.repeat(part[:3], [10, 10, 17], axis=0) for part in ITEM_ROWS)
    twins[0][:20] = 0  # two of the three are unseen

    top = top_k(scorer(bundle(tmp_path, MODELS[name]), items=twins), rows(4, 8, USER), user_group=0, k=ITEMS)

    for u in range(4):
        assert len(set(top.score[u])) == 3
        for value in set(top.score[u]):
            assert (np.diff(top.item[u][top.score[u] == value]) > 0).all()


def test_a_list_is_at_most_as_long_as_the_pool_and_no_users_have_no_predictions(tmp_path: Path) -> None:
    lists = scorer(bundle(tmp_path))
    nobody = tuple(part[:0] for part in rows(1, 9, USER))

    assert top_k(lists, rows(2, 9, USER), user_group=0, k=99).item.shape == (2, ITEMS)
    assert [*lists.predictions(*nobody, 0)] == []
    assert [*lists.predictions(*nobody, 0, own=np.empty((0, ITEMS), bool))] == []


@pytest.fixture
def picks() -> tuple[np.ndarray, np.ndarray]:
    """Which items are for all, and which each user has of its own: of some users none, of some also these."""
    rng = np.random.default_rng(11)
    for_all, own = rng.random(ITEMS) < 0.4, rng.random((100, ITEMS)) < 0.6
    own[[0, 5]] = False
    at_once = 64
    assert at_once <= LEAST_ROWS / for_all.sum() < 2 * at_once
    assert at_once < len(own)
    assert own[:at_once, ~for_all & (ITEM_GROUP == 0)].sum() > PAIRS_AT_ONCE  # more than one pass of pairs
    return for_all, own


@pytest.mark.parametrize("name", MODELS)
def test_own_items_of_a_user_have_the_numbers_that_they_have_when_they_are_for_all(
    name: str, picks: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    for_all, own = picks
    of_pair = DenseEncoding(column="taste_a", side="pair", transform="identity", mean=0.5, std=2.0)
    of = bundle(tmp_path, MODELS[name], ENCODER.model_copy(update={"dense": (*ENCODER.dense, of_pair)}))
    rng = np.random.default_rng(6)
    taste = Cross(np.array([0]), rng.integers(NO_KEY, 5, ITEMS), np.array([np.nan], np.float32))
    users = rows(len(own), 5, USER)
    known = np.array([(u, v) for u in range(len(own)) for v in range(u % 6)])
    vectors = [UserVectors(*known.T, rng.normal(size=(len(known), 1)).astype(np.float32))]

    expected = predicted(scorer(of, crosses=(taste,)), users, 1, vectors)
    found = predicted(scorer(of, for_all, crosses=(taste,)), users, 1, vectors, own)

    has = own | for_all
    np.testing.assert_allclose(found[has], expected[has], rtol=1e-5)
    assert np.isfinite(found[has]).all()
    assert np.isnan(found[~has]).all()
    assert (~has).sum() > 100


def test_without_own_items_those_that_are_not_for_all_have_no_numbers(
    picks: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    for_all, _ = picks
    found = predicted(scorer(bundle(tmp_path), for_all), rows(3, 5, USER), 0)

    assert np.isfinite(found[:, for_all]).all()
    assert np.isnan(found[:, ~for_all]).all()


def test_items_may_be_of_single_users_alone(picks: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    _, own = picks
    of, users = bundle(tmp_path), rows(len(own), 5, USER)

    found = predicted(scorer(of, np.zeros(ITEMS, bool)), users, 2, own=own)

    np.testing.assert_allclose(found[own], predicted(scorer(of), users, 2)[own], rtol=1e-5)
    assert np.isnan(found[~own]).all()


@pytest.mark.parametrize("model", [PLE, MFH, MFH_ITEM], ids=["ple", "mfh", "mfh_item"])
def test_predictions_with_own_items_do_not_depend_on_the_other_users_of_a_call(
    model: Model, picks: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    for_all, own = picks
    lists, users = scorer(bundle(tmp_path, model), for_all), rows(len(own), 6, USER)
    together = predicted(lists, users, 1, own=own)
    shuffled = np.random.default_rng(7).permutation(len(own))

    regrouped = predicted(lists, (users[0][shuffled], users[1][shuffled]), 1, own=own[shuffled])
    alone = [predicted(lists, (users[0][[u]], users[1][[u]]), 1, own=own[[u]]) for u in range(20)]

    np.testing.assert_array_equal(regrouped, together[shuffled])
    np.testing.assert_array_equal(np.concatenate(alone), together[:20])


def test_wrong_inputs_are_refused_with_what_was_expected(tmp_path: Path) -> None:
    of = bundle(tmp_path)
    with pytest.raises(LamplighterError, match="pool of items is empty"):
        scorer(of, item_ids=ITEM_IDS[:0], items=(ITEM_ROWS[0][:0], ITEM_ROWS[1][:0]))
    with pytest.raises(LamplighterError, match=r"user columns are 2 categorical and 1 dense, .* has 1 and 1"):
        predicted(scorer(of), (np.zeros((1, 2)), np.zeros((1, 1))), user_group=0)


@pytest.mark.parametrize("model", [PLE, MFH_ITEM], ids=["ple", "mfh_item"])
def test_in_bfloat16_predictions_are_near_and_do_not_depend_on_the_other_users_of_a_call(
    model: Model, tmp_path: Path
) -> None:
    of, users = bundle(tmp_path, model), rows(USERS_AT_ONCE + 5, 6, USER)
    lists = PairScorer(of, pool(), dtype="bfloat16")

    found, exact = predicted(lists, users, 1), predicted(scorer(of), users, 1)
    alone = [predicted(lists, (users[0][[u]], users[1][[u]]), 1) for u in range(20)]

    assert 1e-5 < np.abs(found - exact).max() < 0.03  # 8 bits of a product's digits
    np.testing.assert_array_equal(np.concatenate(alone), found[:20])
