"""Which columns are made of events of a user or an item, and what they are without any."""

from core.encoder import CategoricalEncoding, DenseEncoding, Encoder
from core.load import load_config
from features.arrivals import values_at_arrival, with_history


def test_features_of_events_are_as_without_any_and_attributes_stay() -> None:
    found = values_at_arrival(load_config("synthetic"))

    assert found["user_impression_count_7d"] == ("user", 0.0)
    assert found["user_click_rate_all"] == ("user", None)
    assert found["user_is_never_seen"] == ("user", 1.0)
    assert found["user_recency_days"] == ("user", None)
    assert found["item_play_seconds_7d"] == ("item", 0.0)
    assert found["item_id"] == ("item", None)
    assert not {"user_a1", "item_a1", "item_kind", "user_cohort", "item_cohort"} & set(found)


def test_crosses_are_the_users_and_features_of_further_groups_are_neither_ones() -> None:
    counts = "aggregates: [{name: shown, agg: count, windows: [7d]}]"
    groups = [
        f"features.kind={{key: item_kind, {counts}}}",
        f"features.user_kind={{key: [user_id, item_kind], {counts}}}",
    ]

    found = values_at_arrival(load_config("synthetic", overrides=groups))

    assert found["user_kind_shown_7d"] == ("user", 0.0)
    assert not [column for column in found if column.startswith("kind_")]


def test_an_encoder_says_so_of_its_columns() -> None:
    encoder = Encoder(
        categorical=(
            CategoricalEncoding(column="user_id", kind="vocabulary", size=9, dim=2),
            CategoricalEncoding(column="user_cohort", kind="vocabulary", size=4, dim=2),
        ),
        dense=tuple(
            DenseEncoding(column=name, transform="identity", mean=1.0, std=2.0)
            for name in ("user_impression_count_all", "user_click_rate_all", "user_a1")
        ),
    )

    found = with_history(encoder, load_config("synthetic"))

    assert [c.history_of for c in found.categorical] == ["user", None]
    assert [(d.history_of, d.at_arrival) for d in found.dense] == [
        ("user", 0.0),
        ("user", None),
        (None, None),
    ]
    assert [d.mean for d in found.dense] == [1.0] * 3
