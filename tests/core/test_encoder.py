"""An encoder says whose each of its columns is."""

from core.columns import input_sides
from core.encoder import CategoricalEncoding, DenseEncoding, Encoder
from core.load import load_config


def test_a_context_column_may_be_called_like_a_users() -> None:
    device = CategoricalEncoding(column="user_device", side="context", kind="hash", size=9, dim=2)
    age = DenseEncoding(column="user_age", transform="identity", mean=0, std=1)
    encoder = Encoder(categorical=(device,), dense=(age,))

    assert encoder.side("user") == Encoder(categorical=(), dense=(age,))
    assert encoder.side("context") == Encoder(categorical=(device,), dense=())
    assert Encoder.model_validate_json(encoder.model_dump_json()) == encoder


def test_the_configuration_says_whose_a_column_is() -> None:
    declared = [
        "source.events.columns.user_device={from: d, type: string}",
        "lists.home.context.user_device=a",
    ]

    sides = input_sides(load_config(overrides=declared))

    assert {name: sides[name] for name in ("user_device", "tab", "user_cohort", "item_tag", "item_id")} == {
        "user_device": "context",
        "tab": "context",
        "user_cohort": "user",
        "item_tag": "item",
        "item_id": "item",
    }
