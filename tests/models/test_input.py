"""The input layer: what a row becomes, and that its sides can be computed apart."""

from collections.abc import Callable

import torch
from torch import Tensor

from conf.encoder import Encoder
from models.input import SIDES, InputLayer

NAN = float("nan")


def test_a_row_becomes_its_user_item_and_context_part_in_this_order(encoder: Encoder) -> None:
    layer = InputLayer(encoder)
    tables = {side: dict(layer.sides[side].tables) for side in SIDES}
    # item_tag, user_fans_range, tab; user_click_count_7d, item_click_rate_7d, user_is_never_seen
    ids, dense = torch.tensor([[3, 5, 1]]), torch.tensor([[0.0, 1.0, 1.0]])

    x = layer(ids, dense)

    expected = torch.cat(
        [
            tables["user"]["user_fans_range_table"].weight[5],
            torch.tensor([(0.0 - 1.0) / 2.0, 1.0]),  # log1p(0) = 0; already standard
            tables["item"]["item_tag_table"].weight[3],
            torch.tensor([(1.0 - 0.5) / 0.25]),
            tables["context"]["tab_table"].weight[1],
        ]
    )
    torch.testing.assert_close(x, expected[None], rtol=0, atol=0)
    assert layer.widths == {"user": 4, "item": 4, "context": 2}
    assert layer.width == 10


def test_null_is_the_mean_and_a_negative_count_is_no_nan(encoder: Encoder) -> None:
    layer = InputLayer(encoder)
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


def test_sides_embedded_apart_and_joined_are_bit_for_bit_the_whole_row(
    encoder: Encoder, make_batch: Callable[..., tuple[Tensor, Tensor, Tensor]]
) -> None:
    layer = InputLayer(encoder)
    ids, dense, _ = make_batch(6)
    ids[:, 2] = 2  # one context for all rows

    parts = {
        side: layer.embed(side, ids[:, layer.categorical_columns[side]], dense[:, layer.dense_columns[side]])
        for side in SIDES
    }
    parts["context"] = parts["context"][:1]

    assert torch.equal(layer.join(parts), layer(ids, dense))


def test_statistics_live_in_the_encoder_and_not_in_the_weights(encoder: Encoder) -> None:
    assert all(name.endswith("_table.weight") for name in InputLayer(encoder).state_dict())


def test_an_untrained_value_adds_little_noise(encoder: Encoder) -> None:
    table = InputLayer(encoder).sides["item"].tables["item_tag_table"]

    assert table.weight.abs().max() < 0.1
