"""The layout of the input vector against the vector itself."""

import torch

from core.encoder import Encoder
from core.model import InputLayer as Config
from models.modules.columns import layout_of
from models.modules.input import InputLayer


def test_a_column_moves_its_place_of_the_vector_and_no_other(encoder: Encoder) -> None:
    layer, layout = InputLayer(encoder, Config()), layout_of(encoder)
    ids, dense = torch.ones(1, 3, dtype=torch.int64), torch.ones(1, 3)
    before = layer(ids, dense)[0]
    assert layout.width == len(before)

    for number, column in enumerate(encoder.columns):
        other_ids, other_dense = ids.clone(), dense.clone()
        if number < 3:
            other_ids[0, number] = 2
        else:
            other_dense[0, number - 3] = 2.0
        moved = (layer(other_ids, other_dense)[0] != before).nonzero().flatten().tolist()
        assert moved == list(range(layout.width))[layout.places[column]]


def test_columns_are_read_in_the_order_in_which_they_are_named(encoder: Encoder) -> None:
    layout = layout_of(encoder)
    x = torch.arange(layout.width).float()[None]

    columns = layout.of(["tab", "user_fans_range"], "reads")

    expected = torch.cat([x[:, layout.places["tab"]], x[:, layout.places["user_fans_range"]]], dim=1)
    assert torch.equal(columns.of(x), expected)
    assert columns.width == 4
