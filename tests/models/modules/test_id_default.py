"""A learnt default against its equation, by perturbation and by gradient."""

import pytest
import torch
from torch import Tensor

from core.encoder import CategoricalEncoding, DenseEncoding, Encoder
from core.errors import ConfigError
from core.model import InputLayer as Config
from models.modules.input import SIDES, InputLayer


def column(name: str, **options: object) -> CategoricalEncoding:
    return CategoricalEncoding(**{"column": name, "kind": "vocabulary", "size": 6, "dim": 2} | options)


def dense(name: str) -> DenseEncoding:
    return DenseEncoding(column=name, transform="identity", mean=1.0, std=2.0)


ENCODER = Encoder(
    categorical=(
        column("user_id", dim=3),
        column("item_id", dim=4),
        column("item_author", dim=2),
        column("item_tags", dim=2, split=",", max_values=2),
        column("tab"),
    ),
    dense=(dense("item_length"), dense("user_age"), dense("item_price")),
)
NAMED = {"columns": ["item_price", "item_author"], "widths": [5]}
ITEM_ID, AUTHOR, TAGS = 1, 2, (3, 4)  # places among the columns of ids
LENGTH, PRICE = 0, 2


def layer(share: float = 0.3, **options: object) -> InputLayer:
    """A layer whose generator has weights as after some training."""
    torch.manual_seed(0)
    made = InputLayer(ENCODER, Config(id_dropout={"item_id": share}, id_default={"item_id": NAMED | options}))
    torch.nn.init.normal_(made.defaults["item_id_default"].last.weight)
    return made


def rows(count: int = 6, item: int | None = None) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, 6, (count, 6), generator=generator)
    if item is not None:
        ids[:, ITEM_ID] = item
    return ids, torch.randn(count, 3, generator=generator)


def item_id_of(made: InputLayer, ids: Tensor, numbers: Tensor) -> Tensor:
    """The piece of the input vector that is the item's embedding; the user's part is before it."""
    start = made.widths["user"]
    return made(ids, numbers)[:, start : start + 4]


def test_an_unseen_id_is_row_0_and_what_an_mlp_makes_of_the_named_columns() -> None:
    made, (ids, numbers) = layer().eval(), rows(item=0)
    default = made.defaults["item_id_default"]

    found = item_id_of(made, ids, numbers)

    price = (numbers[:, [PRICE]] - 1) / 2
    author = made.tables["item_author_table"].weight[ids[:, AUTHOR]]
    x = torch.cat([price, author], dim=1)  # in the order in which they are named
    hidden = (x @ default.hidden[0].weight.T + default.hidden[0].bias).relu()
    expected = made.tables["item_id_table"].weight[0] + hidden @ default.last.weight.T
    torch.testing.assert_close(found, expected)
    assert found.std(0).min() > 1e-3  # it does differ from row to row


def test_a_default_of_no_hidden_layer_is_linear() -> None:
    made, (ids, numbers) = layer(columns=["item_price"], widths=[]).eval(), rows(item=0)

    found = item_id_of(made, ids, numbers)

    price = (numbers[:, [PRICE]] - 1) / 2
    row = made.tables["item_id_table"].weight[0]
    torch.testing.assert_close(found, row + price @ made.defaults["item_id_default"].last.weight.T)


def test_training_starts_from_row_0_alone() -> None:
    made = InputLayer(ENCODER, Config(id_dropout={"item_id": 0.3}, id_default={"item_id": NAMED})).eval()

    found = item_id_of(made, *rows(item=0))

    assert torch.equal(found, made.tables["item_id_table"].weight[0].expand(6, 4))


def test_a_seen_id_is_its_row_to_the_bit_whatever_the_generator_is() -> None:
    made, (ids, numbers) = layer().eval(), rows()
    before = made(ids, numbers)

    with torch.no_grad():
        for parameter in made.defaults.parameters():
            parameter.add_(7.0)

    assert torch.equal(made(ids, numbers), before)
    assert torch.equal(item_id_of(made, ids, numbers), made.tables["item_id_table"].weight[ids[:, ITEM_ID]])


@pytest.mark.parametrize("place", range(9))
def test_an_unseen_id_depends_on_exactly_the_named_columns(place: int) -> None:
    made, (ids, numbers) = layer().eval(), rows(item=0)
    other_ids, other_numbers = ids.clone(), numbers.clone()
    if place < 6:
        other_ids[:, place] = 1 + ids[:, place] % 5
    else:
        other_numbers[:, place - 6] += 1
    if place == ITEM_ID:
        other_ids[:, ITEM_ID] = 0

    is_same = torch.equal(item_id_of(made, other_ids, other_numbers), item_id_of(made, ids, numbers))

    assert is_same == (place not in (AUTHOR, 6 + PRICE))


def test_gradients_of_generator_and_row_0_come_from_hidden_rows_alone() -> None:
    made, (ids, numbers) = layer(share=0.5).train(), rows(200, item=3)
    table = made.tables["item_id_table"]
    torch.manual_seed(5)
    found = item_id_of(made, ids, numbers)
    is_seen = (found == table.weight[3]).all(1)
    assert 60 < int(is_seen.sum()) < 140

    found[is_seen].sum().backward(retain_graph=True)

    assert all(torch.count_nonzero(p.grad) == 0 for p in made.defaults.parameters())
    assert table.weight.grad[:, 0].tolist() == [0, 0, 0, int(is_seen.sum()), 0, 0]
    assert torch.count_nonzero(made.tables["item_author_table"].weight.grad) == 0

    made.zero_grad()
    found[~is_seen].sum().backward()

    assert all(torch.count_nonzero(p.grad) > 0 for p in made.defaults.parameters())
    assert table.weight.grad[:, 0].tolist() == [int((~is_seen).sum()), 0, 0, 0, 0, 0]
    assert torch.count_nonzero(made.tables["item_author_table"].weight.grad) > 0


def test_ids_are_hidden_as_often_as_id_dropout_says_and_as_without_a_default() -> None:
    ids, numbers = rows(4000, item=3)
    plain = InputLayer(ENCODER, Config(id_dropout={"item_id": 0.2})).train()
    made = layer(share=0.2).train()

    hidden = []
    for each in (plain, made):
        torch.manual_seed(3)
        hidden.append((item_id_of(each, ids, numbers) != each.tables["item_id_table"].weight[3]).any(1))

    assert torch.equal(*hidden)
    assert 0.17 < hidden[0].float().mean() < 0.23


def test_outside_of_training_nothing_is_drawn_and_sides_are_the_whole_to_the_bit() -> None:
    made, (ids, numbers) = layer(widths=[64, 64]).eval(), rows(37)
    ids[::3, ITEM_ID] = 0
    ids[::5, AUTHOR] = 0
    numbers[::7, PRICE] = torch.nan

    whole = made(ids, numbers)

    assert torch.equal(made(ids, numbers), whole)
    parts = [
        made.embed(side, ids[:, made.categorical_columns[side]], numbers[:, made.dense_columns[side]])
        for side in SIDES
    ]
    assert torch.equal(torch.cat(parts, dim=1), whole)
    for n in range(0, 37, 3):  # the numbers of a row do not depend on those beside it
        assert torch.equal(made(ids[n : n + 1], numbers[n : n + 1])[0], whole[n])


def test_the_default_of_a_bag_is_for_a_bag_without_values() -> None:
    made = InputLayer(
        ENCODER, Config(id_dropout={"item_tags": 0.1}, id_default={"item_tags": {"columns": ["item_price"]}})
    ).eval()
    torch.nn.init.normal_(made.defaults["item_tags_default"].last.weight)
    ids, numbers = rows(3)
    ids[0, list(TAGS)], ids[1, list(TAGS)] = 0, torch.tensor([0, 4])
    plain = InputLayer(ENCODER, Config()).eval()
    plain.load_state_dict({name: value for name, value in made.state_dict().items() if "default" not in name})

    differs = (made(ids, numbers) != plain(ids, numbers)).any(1)

    assert differs.tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("column_of", "columns", "message"),
    [
        (
            "item_ident",
            ["item_price"],
            r"id_default\.item_ident: item_ident is no categorical input; those are",
        ),
        (
            "item_id",
            ["item_prize"],
            r"item_id\.columns names \['item_prize'\], which are no inputs; expected",
        ),
        (
            "item_id",
            ["user_age", "tab"],
            r"names \['tab', 'user_age'\] of another side: item_id is of the side",
        ),
        (
            "item_id",
            ["item_id"],
            r"names \['item_id'\], which have a learnt default themselves; expected some",
        ),
    ],
)
def test_what_no_default_can_be_made_of_is_refused(column_of: str, columns: list[str], message: str) -> None:
    config = Config(
        id_dropout={"item_id": 0.1, column_of: 0.1}, id_default={column_of: {"columns": columns}}
    ).model_copy(update={"id_dropout": {"item_id": 0.1}})

    with pytest.raises(ConfigError, match=message):
        InputLayer(ENCODER, config)


@pytest.mark.parametrize("dropout", [{}, {"item_id": 0.0}, {"user_id": 0.5}])
def test_a_default_that_nothing_trains_is_refused(dropout: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"id_default names \['item_id'\], whose ids are never hidden"):
        Config(id_dropout=dropout, id_default={"item_id": NAMED})
