"""The columns that a configuration declares, in their order."""

from core.columns import context_columns, event_columns, feature_columns
from core.features import FeatureGroup
from core.load import load_config

FEATURES = FeatureGroup.model_validate(
    {
        "aggregates": [
            {"name": "shown", "agg": "count", "windows": ["7d", "all"]},
            {"name": "clicks", "agg": "sum", "of": "is_click", "windows": ["7d"]},
        ],
        "rates": [{"name": "click_rate", "of": "clicks", "per": "shown", "windows": ["7d"]}],
        "attributes": ["item_tag"],
    }
)


def test_features_are_the_built_in_then_measures_by_window_then_attributes() -> None:
    assert feature_columns(FEATURES, "item") == [
        "item_is_never_seen",
        "item_recency_days",
        "item_first_event_time_all",
        "item_last_data_date_all",
        "item_shown_7d",
        "item_shown_all",
        "item_clicks_7d",
        "item_click_rate_7d",
        "item_tag",
    ]


def test_the_context_is_what_is_neither_key_nor_time_nor_behaviour() -> None:
    config = load_config()

    assert context_columns(config) == ["tab", "hour"]
    assert event_columns(config)[:5] == ["user_id", "item_id", "event_time", "tab", "hour"]
    assert event_columns(config)[5:] == list(config.behaviours)
