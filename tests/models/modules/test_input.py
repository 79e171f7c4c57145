"""The input layer: the vector of a row, and that its sides can be computed separately."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.encoder import CategoricalEncoding, DenseEncoding, Encoder
from core.errors import ConfigError
from core.model import InputLayer as Config
from models.modules.input import InputLayer, interpolate

NAN = float("nan")
PLAIN = Config()


def test_a_row_becomes_its_user_item_and_context_part_in_this_order(encoder: Encoder) -> None:
    layer = InputLayer(encoder, PLAIN)
    # item_tag, user_fans_range, tab; user_click_count_7d, item_click_rate_7d, user_is_never_seen
    ids, dense = torch.tensor([[3, 5, 1]]), torch.tensor([[0.0, 1.0, 1.0]])

    x = layer(ids, dense)

    expected = torch.cat(
        [
            layer.tables["user_fans_range_table"].weight[5],
            torch.tensor([(0.0 - 1.0) / 2.0, 1.0]),  # log1p(0) = 0; already standard
            layer.tables["item_tag_table"].weight[3],
            torch.tensor([(1.0 - 0.5) / 0.25]),
            layer.tables["tab_table"].weight[1],
        ]
    )
    torch.testing.assert_close(x, expected[None], rtol=0, atol=0)
    assert layer.widths == {"user": 4, "item": 4, "context": 2, "pair": 0}
    assert layer.width == 10


def test_null_is_the_mean_and_a_negative_count_is_not_nan(encoder: Encoder) -> None:
    layer = InputLayer(encoder, PLAIN)
    ids = torch.zeros(3, 3, dtype=torch.long)
    dense = torch.tensor(
        [
            [torch.e - 1, 0.5, 0.0],  # the means of all three, before standardisation
            [NAN, NAN, NAN],
            [-7.0, 0.5, 0.0],  # as a count of 0: log1p(0) = 0
        ]
    )

    x = layer(ids, dense)

    torch.testing.assert_close(x[1], x[0])
    torch.testing.assert_close(x[2, 2], torch.tensor(-0.5))
    assert x.isfinite().all()


def test_statistics_are_stored_in_the_encoder_and_not_in_the_weights(encoder: Encoder) -> None:
    assert all(name.endswith("_table.weight") for name in InputLayer(encoder, PLAIN).state_dict())


def test_an_untrained_value_adds_little_noise(encoder: Encoder) -> None:
    table = InputLayer(encoder, PLAIN).tables["item_tag_table"]

    assert table.weight.abs().max() < 0.1


def column(name: str, size: int = 6, **options: object) -> CategoricalEncoding:
    return CategoricalEncoding(column=name, kind="hash", size=size, dim=2, **options)


def test_a_bag_is_the_mean_of_its_values_and_row_0_without_any() -> None:
    encoder = Encoder(
        categorical=(column("item_tags", split=",", max_values=3), column("item_type")), dense=()
    )
    layer = InputLayer(encoder, PLAIN)
    ids = torch.tensor([[4, 2, 0, 1], [0, 5, 0, 1], [0, 0, 0, 1], [3, 3, 1, 1]])

    x = layer(ids, torch.empty(4, 0))

    row = layer.tables["item_tags_table"].weight
    bags = torch.stack([(row[4] + row[2]) / 2, row[5], row[0], (2 * row[3] + row[1]) / 3])
    torch.testing.assert_close(x[:, :2], bags)
    assert torch.equal(x[:, 2:], layer.tables["item_type_table"].weight[1].expand(4, 2))
    assert layer.categorical_columns["item"] == [0, 1, 2, 3]
    x.sum().backward()
    assert torch.isfinite(row.grad).all()


def test_columns_of_one_table_share_its_rows_across_sides() -> None:
    encoder = Encoder(
        categorical=(column("item_tag", table="tag"), column("user_favourite_tag", table="tag")), dense=()
    )
    layer = InputLayer(encoder, PLAIN)

    x = layer(torch.tensor([[3, 3], [1, 4]]), torch.empty(2, 0))

    assert list(layer.tables) == ["tag_table"]
    assert torch.equal(x[0, :2], x[0, 2:])
    assert torch.equal(x[1], layer.tables["tag_table"].weight[[4, 1]].flatten())  # the user's part first


def test_id_dropout_hides_a_share_of_values_in_training_only() -> None:
    encoder = Encoder(categorical=(column("user_id"), column("item_id")), dense=())
    layer = InputLayer(encoder, Config(id_dropout={"user_id": 0.25}))
    ids = torch.full((4000, 2), 3)
    unseen = layer.tables["user_id_table"].weight[0]

    torch.manual_seed(0)
    trained = layer.train()(ids, torch.empty(4000, 0))
    served = layer.eval()(ids, torch.empty(4000, 0))

    is_hidden = (trained[:, :2] == unseen).all(1)
    assert 0.22 < is_hidden.float().mean() < 0.28
    assert torch.equal(trained[:, 2:], served[:, 2:])  # the other column is left alone
    assert torch.equal(trained[~is_hidden], served[~is_hidden])
    assert not (served[:, :2] == unseen).all(1).any()


def test_id_dropout_hides_a_bag_as_a_whole() -> None:
    encoder = Encoder(categorical=(column("item_tags", split=",", max_values=2),), dense=())
    layer = InputLayer(encoder, Config(id_dropout={"item_tags": 0.5})).train()
    row = layer.tables["item_tags_table"].weight

    x = layer(torch.tensor([[1, 2]] * 100), torch.empty(100, 0))

    mean = (row[1] + row[2]) / 2
    assert {bool(torch.allclose(one, mean)) for one in x} == {True, False}
    assert all(torch.allclose(one, mean) or torch.allclose(one, row[0]) for one in x)


def test_dropout_of_an_unknown_column_is_refused(encoder: Encoder) -> None:
    with pytest.raises(ConfigError, match=r"input.id_dropout names \['user_ident'\], which are no"):
        InputLayer(encoder, Config(id_dropout={"user_ident": 0.1}))


def test_only_large_tables_have_sparse_gradients() -> None:
    encoder = Encoder(categorical=(column("user_id", size=100), column("item_tag", size=9)), dense=())
    layer = InputLayer(encoder, Config(sparse_rows=100))

    layer(torch.tensor([[7, 2], [7, 3]]), torch.empty(2, 0)).sum().backward()

    of_users, of_tags = layer.tables["user_id_table"].weight.grad, layer.tables["item_tag_table"].weight.grad
    assert of_users.is_sparse
    assert not of_tags.is_sparse
    assert of_users.coalesce().indices().tolist() == [[7]]
    assert of_users.coalesce().values().tolist() == [[2.0, 2.0]]


def test_a_quantile_is_the_share_of_smaller_values() -> None:
    curve = DenseEncoding(
        column="user_age",
        transform="quantile",
        mean=0.5,
        std=0.25,
        quantiles=(0.0, 10.0, 20.0),
        levels=(0.3, 0.5, 1.0),
    )
    layer = InputLayer(Encoder(categorical=(), dense=(curve,)), PLAIN)

    x = layer(
        torch.empty(6, 0, dtype=torch.long), torch.tensor([[0.0], [5.0], [15.0], [-9.0], [99.0], [NAN]])
    )

    shares = torch.tensor([0.3, 0.4, 0.75, 0.3, 1.0, 0.5])  # null is the mean
    torch.testing.assert_close(x[:, 0], (shares - 0.5) / 0.25)


@given(
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=2, max_size=8, unique=True),
    st.lists(st.floats(-2e3, 2e3, width=32), min_size=1, max_size=8),
)
def test_interpolation_is_that_of_numpy(quantiles: list[float], values: list[float]) -> None:
    q = np.sort(np.array(quantiles, dtype=np.float32))
    levels = np.linspace(0.1, 0.9, len(q), dtype=np.float32)
    x = np.array(values, dtype=np.float32)

    ours = interpolate(torch.from_numpy(x), torch.from_numpy(q), torch.from_numpy(levels))

    np.testing.assert_allclose(ours, np.interp(x, q, levels), atol=2e-3)


@pytest.mark.parametrize("count", [0, 1])
def test_a_quantile_column_without_a_curve_is_constant(count: int) -> None:
    one = torch.ones(count)
    assert interpolate(torch.tensor([1.0, 7.0, NAN]), one, one).nan_to_num(-1).tolist() == [0.5, 0.5, -1.0]
