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


def test_features_of_a_further_group_are_described() -> None:
    seconds = "{name: seconds, agg: mean, of: play_seconds, where: is_click = 1, windows: [7d]}"
    authors = "{name: authors, agg: top_k, of: item_author_id, k: 3, windows: [all]}"
    shown = "{name: shown, agg: count, windows: [1d, 7d]}"
    trend = "{name: trend, of: shown, per: shown, windows: [1d], per_window: 7d}"
    tag = f"features.tag={{key: item_tag, aggregates: [{shown}, {seconds}, {authors}], rates: [{trend}]}}"

    found = {
        each.name: each for each in described_features(load_config(overrides=[tag])) if each.group == "tag"
    }

    assert (found["tag_seconds_7d"].source, found["tag_seconds_7d"].unit) == (
        "mean(play_seconds) where is_click = 1",
        "seconds",
    )
    assert found["tag_authors_all"].source == "top_k(item_author_id, 3)"
    taste = (
        "features.taste={key: [user_id, item_tag], aggregates: [{name: shown, agg: count, windows: [7d]}]}"
    )
    (of_cross,) = (
        each for each in described_features(load_config(overrides=[taste])) if each.group == "taste"
    )
    assert (of_cross.name, of_cross.key) == ("taste_shown_7d", "user_id, taste_id")
    assert (found["tag_trend_1d"].source, found["tag_trend_1d"].key) == ("shown / shown of 7d", "tag_id")
