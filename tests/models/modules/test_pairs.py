"""Rows of pairs as their parts, against the whole input vectors."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from core.encoder import DenseEncoding, Encoder
from core.model import InputLayer as Config
from models.model import MultiTaskModel
from models.modules.input import SIDES, InputLayer
from models.modules.pairs import PairRows, PoolRows, UserRows, linear
from tests.models.conftest import TRUNKS

Batch = Callable[..., tuple[Tensor, Tensor, Tensor]]
WIDTHS = {"user": 3, "item": 2, "context": 4, "pair": 1}
USERS, ITEMS = 5, 7


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pairs_of(pool: PoolRows, pair_width: int = 1, seed: int = 1) -> PairRows:
    return PairRows(
        UserRows(drawn(USERS, 3, seed=seed)), pool, drawn(USERS * ITEMS, pair_width, seed=seed + 1)
    )


@pytest.mark.parametrize("pair_width", [0, 1])
def test_a_linear_map_of_pairs_is_that_of_their_vectors(pair_width: int) -> None:
    widths = WIDTHS | {"pair": pair_width}
    pool = PoolRows(drawn(ITEMS, 2, seed=3), drawn(1, 4, seed=4), widths)
    maps = [[drawn(6, 9 + pair_width, seed=5), drawn(2, 9 + pair_width, seed=6)]]
    maps += [[maps[0][0]], [maps[0][1], maps[0][0]]]

    for seed in (1, 8):  # other users, with what is kept of the first ones' maps
        rows = pairs_of(pool, pair_width, seed)
        x_BD = rows.joined()
        assert x_BD.shape == (USERS * ITEMS, 9 + pair_width)
        for weights in maps:
            torch.testing.assert_close(linear(rows, weights), x_BD @ torch.cat(weights).T)
            torch.testing.assert_close(linear(x_BD, weights), x_BD @ torch.cat(weights).T)


def test_users_of_a_slice_share_what_is_kept_of_all() -> None:
    pool = PoolRows(drawn(ITEMS, 2, seed=3), drawn(1, 4, seed=4), WIDTHS | {"pair": 0})
    weights = [drawn(6, 9, seed=5)]
    users = UserRows(drawn(USERS, 3, seed=1))
    whole = linear(PairRows(users, pool, drawn(USERS * ITEMS, 0, seed=2)), weights)

    some = users[1:3]
    product = linear(PairRows(some, pool, drawn(2 * ITEMS, 0, seed=2)), weights)

    assert (len(users), len(some)) == (USERS, 2)
    assert torch.equal(product, whole[1 * ITEMS : 3 * ITEMS])
    kept = pool.of_map(weights)
    assert some.of_map(kept).data_ptr() == users.of_map(kept)[1:].data_ptr()


def test_rows_go_user_by_user() -> None:
    pool = PoolRows(drawn(ITEMS, 2, seed=3), drawn(1, 4, seed=4), WIDTHS)
    rows = pairs_of(pool)

    x_BD = rows.joined()

    user, item = 2, 3
    expected = [
        rows.users.users_UD[user],
        pool.items_ID[item],
        pool.context_1D[0],
        rows.pairs_BD[2 * ITEMS + 3],
    ]
    assert torch.equal(x_BD[2 * ITEMS + 3], torch.cat(expected))


@pytest.mark.parametrize("pair_width", [0, 1])
def test_picked_pairs_have_the_numbers_of_the_same_pairs_among_all(pair_width: int) -> None:
    pool = PoolRows(drawn(ITEMS, 2, seed=3), drawn(1, 4, seed=4), WIDTHS | {"pair": pair_width})
    weights = [drawn(6, 9 + pair_width, seed=5), drawn(2, 9 + pair_width, seed=6)]
    rows = pairs_of(pool, pair_width)
    users_B, items_B = (
        torch.tensor([4, 0, 2, 2, 4]),
        torch.tensor([6, 0, 3, 1, 6]),
    )  # in any order, also twice
    places_B = users_B * ITEMS + items_B

    picked = PairRows(rows.users, pool, rows.pairs_BD[places_B], (users_B, items_B))

    assert (len(rows), len(picked)) == (USERS * ITEMS, 5)
    assert torch.equal(picked.joined(), rows.joined()[places_B])
    torch.testing.assert_close(linear(picked, weights), linear(rows, weights)[places_B])


@pytest.mark.parametrize("architecture", TRUNKS)
def test_every_architecture_reads_picked_pairs_as_it_reads_their_vectors(
    make_model: Callable[..., MultiTaskModel], architecture: str
) -> None:
    model = make_model(architecture).double()
    widths = model.input.widths
    items_ID, context_1D = drawn(ITEMS, widths["item"], seed=3), drawn(1, widths["context"], seed=4)
    picked = (torch.tensor([4, 0, 2]), torch.tensor([6, 0, 3]))
    rows = PairRows(
        UserRows(drawn(USERS, widths["user"], seed=1)),
        PoolRows(items_ID, context_1D, widths),
        drawn(3, 0, seed=2),
        picked,
    )

    with torch.inference_mode():
        for group in range(model.cell_groups):
            found, expected = model.from_input(rows, group), model.from_input(rows.joined(), group)
            assert len(found) == 3
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_parts_that_are_embedded_apart_are_bit_for_bit_the_whole_row(
    encoder: Encoder, make_batch: Batch
) -> None:
    ids, dense, _ = make_batch(6)
    ids[:, 2] = 2  # one context for all rows
    ids[:, 1], dense[:, [0, 2]] = ids[0, 1], dense[0, [0, 2]]  # and one user
    of_pair = DenseEncoding(column="taste_count", side="pair", transform="log1p", mean=0.5, std=2.0)
    encoder = encoder.model_copy(update={"dense": (of_pair, *encoder.dense)})
    dense = torch.cat([dense[:, 1:2].nan_to_num().abs(), dense], dim=1)
    layer = InputLayer(encoder, Config())

    user, item, context, pair = (
        layer.embed(side, ids[:, layer.categorical_columns[side]], dense[:, layer.dense_columns[side]])
        for side in SIDES
    )
    rows = PairRows(UserRows(user[:1]), PoolRows(item, context[:1], layer.widths), pair)

    assert torch.equal(rows.joined(), layer(ids, dense))
    assert torch.equal(pair, (dense[:, :1].log1p() - 0.5) / 2.0)
    assert torch.equal(layer(ids, dense)[:, -1:], pair)


@pytest.mark.parametrize("architecture", TRUNKS)
def test_every_architecture_reads_pairs_as_it_reads_their_vectors(
    make_model: Callable[..., MultiTaskModel], architecture: str
) -> None:
    model = make_model(architecture).double()
    widths = model.input.widths
    items_ID, context_1D = drawn(ITEMS, widths["item"], seed=3), drawn(1, widths["context"], seed=4)
    pool = PoolRows(items_ID, context_1D, widths)
    rows = PairRows(UserRows(drawn(USERS, widths["user"], seed=1)), pool, drawn(USERS * ITEMS, 0, seed=2))
    assert model.takes_pairs == (architecture not in ("pepnet", "epnet"))

    with torch.inference_mode():
        for group in range(model.cell_groups):
            found, expected = model.from_input(rows, group), model.from_input(rows.joined(), group)
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_a_trunk_that_needs_the_vectors_gets_them(
    make_model: Callable[..., MultiTaskModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model("mfh").double()
    switcher = next(iter(model.network.trunk.trees.values())).level1
    pool = PoolRows(drawn(ITEMS, 4, seed=3), drawn(1, 2, seed=4), model.input.widths)
    rows = PairRows(UserRows(drawn(USERS, 4, seed=1)), pool, drawn(USERS * ITEMS, 0, seed=2))
    seen: list[type] = []
    switcher.register_forward_pre_hook(lambda module, inputs: seen.append(type(inputs[0])))

    model.from_input(rows, 0)
    monkeypatch.setattr(switcher, "takes_pairs", False)
    del model.takes_pairs  # it is looked at once
    model.from_input(rows, 0)

    assert seen == [PairRows, Tensor]
