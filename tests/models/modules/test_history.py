"""History dropout: rows of which all that is made of a user's events is as before the first one."""

import pytest
import torch

from core.encoder import CategoricalEncoding, DenseEncoding, Encoder
from core.errors import ConfigError
from core.model import InputLayer as Config
from models.modules.history import History
from models.modules.input import InputLayer


def dense(column: str, history_of: str | None = None, at_arrival: float | None = None) -> DenseEncoding:
    return DenseEncoding(
        column=column, transform="identity", mean=2.0, std=4.0, history_of=history_of, at_arrival=at_arrival
    )


def ids(column: str, kind: str, history_of: str | None) -> CategoricalEncoding:
    return CategoricalEncoding(column=column, kind=kind, size=5, dim=2, history_of=history_of)


ENCODER = Encoder(
    categorical=(
        ids("user_id", "vocabulary", "user"),
        ids("user_range", "vocabulary", None),
        ids("item_id", "hash", "item"),
    ),
    dense=(
        dense("user_click_count_all", "user", 0.0),
        dense("user_click_rate_all", "user"),
        dense("user_age"),
        dense("item_click_count_all", "item", 0.0),
    ),
)
IDS = torch.tensor([[3, 4, 2]])
RAW = torch.tensor([[7.0, 0.5, 30.0, 9.0]])


def hidden(of: str) -> tuple[list[int], list[float]]:
    """A row of which the history of one side is hidden."""
    history = History(of, 0.999, ENCODER).train()
    torch.manual_seed(1)
    found = history(IDS, RAW)
    return found[0][0].tolist(), found[1][0].tolist()


def test_all_that_is_made_of_a_users_events_is_as_before_the_first_one() -> None:
    ids_of_row, values = hidden("user")

    assert ids_of_row == [0, 4, 2]
    assert values == pytest.approx([0.0, float("nan"), 30.0, 9.0], nan_ok=True)


def test_a_hashed_id_stays_since_a_new_one_has_some_value_of_it_too() -> None:
    ids_of_row, values = hidden("item")

    assert ids_of_row == [3, 4, 2]
    assert values == [7.0, 0.5, 30.0, 0.0]


def test_a_share_of_rows_is_hidden_and_of_each_all_columns() -> None:
    history = History("user", 0.3, ENCODER).train()
    torch.manual_seed(1)

    found_ids, values = history(IDS.expand(20_000, -1), RAW.expand(20_000, -1))

    is_hidden = found_ids[:, 0] == 0
    assert is_hidden.float().mean().item() == pytest.approx(0.3, abs=0.015)
    assert torch.equal(is_hidden, values[:, 0] == 0)
    assert torch.equal(is_hidden, values[:, 1].isnan())


def test_the_input_layer_hides_in_training_only_and_stores_nothing() -> None:
    layer = InputLayer(ENCODER, Config(history_dropout={"user": 0.999}))
    plain = InputLayer(ENCODER, Config())
    plain.load_state_dict(layer.state_dict())
    torch.manual_seed(1)

    hidden_row = layer.train()(IDS, RAW)
    shown_row = layer.eval()(IDS, RAW)

    assert torch.equal(shown_row, plain.eval()(IDS, RAW))
    none = plain(torch.tensor([[0, 4, 2]]), torch.tensor([[0.0, torch.nan, 30.0, 9.0]]))
    assert torch.equal(hidden_row, none)


def test_a_side_without_history_is_refused() -> None:
    attributes = Encoder(categorical=(ids("item_id", "hash", "item"),), dense=(dense("user_age"),))

    for of in ("user", "item"):
        with pytest.raises(ConfigError, match=f"history_dropout names {of}, but no input is made of events"):
            InputLayer(attributes, Config(history_dropout={of: 0.1}))
