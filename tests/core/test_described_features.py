"""What a feature is follows from its declaration: expression, window, unit, when it is null."""

from core.columns import feature_columns
from core.described_features import FeatureDescription, described_features
from core.load import load_config
from tests.features.small import small_config


def test_each_column_of_both_feature_tables_is_described_once_in_order() -> None:
    for config in (small_config(), load_config()):
        names = [each.name for each in described_features(config)]

        assert names == [
            *feature_columns(config.features.user, "user"),
            *feature_columns(config.features.item, "item"),
        ]


def test_descriptions_say_expression_window_unit_and_null() -> None:
    found = {each.name: each for each in described_features(small_config())}

    def said(name: str) -> tuple[str, ...]:
        each = found[name]
        return each.window, each.source, each.unit, each.null

    assert found["user_age"] == FeatureDescription(
        "user",
        "user_age",
        "user_id",
        "",
        "age of users.parquet",
        "",
        "where the source holds no readable value",
    )
    total, without = "never; 0 without events", "without a value in the window"
    assert said("user_impression_count_1d") == ("1d", "count(*)", "events", total)
    assert said("user_tab_1_count_3d") == ("3d", "count(*) where tab = 1", "events", total)
    assert said("item_click_count_3d") == ("3d", "sum(is_click)", "events", total)
    assert said("user_play_seconds_all") == ("all", "sum(play_seconds)", "seconds", total)
    assert said("user_longest_click_seconds_3d") == (
        "3d", "max(play_seconds) where is_click = 1", "seconds", without,
    )  # fmt: skip
    assert said("user_lowest_tab_1d") == ("1d", "min(tab)", "as tab", without)
    assert said("user_click_rate_all") == (
        "all", "click_count / impression_count", "events per events", "where impression_count is 0",
    )  # fmt: skip
    assert said("user_smooth_rate_3d")[1] == "(click_count + 0.3 * 7) / (impression_count + 7)"
    assert said("item_recency_days") == (
        "all", "data_date - max(data_date of events)", "days", "without events",
    )  # fmt: skip
