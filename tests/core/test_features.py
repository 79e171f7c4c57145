"""What a declaration of features checks about itself, and the columns that follow from it."""

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from core.columns import (
    array_columns,
    feature_columns,
    group_side,
    input_sides,
    key_columns,
    state_columns,
)
from core.declared_config import declared_part, hashes_of_keys
from core.errors import ConfigError
from core.expressions import attributes_read
from core.features import Features
from core.load import load_config
from core.schema import Config

SHOWN = {"name": "shown", "agg": "count", "windows": ["3d", "all"]}
ALL = ("features.tag={key: item_tag, split: ',', aggregates: [{name: shown, agg: count, windows: [3d]}, "
       "{name: seconds, agg: mean, of: play_seconds, windows: [3d, all]}, "
       "{name: users, agg: last_k, of: user_id, k: 3, windows: [3d]}]}",
       "features.hour={key: hour, aggregates: [{name: shown, agg: count, windows: [all]}, "
       "{name: seconds, agg: variance, of: play_seconds, windows: [3d, all]}]}",
       "features.fans={key: user_fans_range, aggregates: "
       "[{name: types, agg: top_k, of: item_type, k: 3, windows: [3d]}]}")  # fmt: skip


def groups(**of_tag: Any) -> Features:
    entity: dict[str, Any] = {"aggregates": []}
    return Features.model_validate({"user": entity, "item": entity, "tag": {"aggregates": []} | of_tag})


@pytest.mark.parametrize(
    ("of_tag", "fault"),
    [
        ({}, "group tag: `key` is missing"),
        ({"key": "item_tag", "attributes": ["item_tag"]}, "group tag: attributes are those of user and item"),
        ({"key": "item_tag", "aggregates": [SHOWN | {"name": "recency_days"}]}, "are named twice"),
        ({"key": "item_tag", "aggregates": [SHOWN | {"of": "tab"}]}, "goes with all but count and recency"),
        ({"key": "item_tag", "aggregates": [SHOWN | {"agg": "mean"}]}, "`of` names the column"),
        ({"key": "item_tag", "aggregates": [SHOWN | {"agg": "last_k", "of": "tab"}]}, "number of values"),
        ({"key": "item_tag", "aggregates": [SHOWN | {"k": 3}]}, "`k` is the number of values"),
        ({"key": "item_tag", "aggregates": [SHOWN | {"split": ","}]}, "`split` is for top_k"),
        ({"key": "item_tag", "agg": []}, "Extra inputs are not permitted"),
        ({"key": ["user_id"]}, r"group tag: `key` is \['user_id'\]; expected one column, or for a cross"),
        ({"key": ["item_tag", "user_id"]}, r"for a cross \[user_id, COLUMN\], where COLUMN is an attribute"),
        (
            {"key": ["user_id", "item_tag"], "aggregates": [SHOWN]},
            "group tag: shown is over `all`; a cross has windows of days only",
        ),
    ],
)
def test_a_declaration_that_says_too_much_or_too_little_is_refused(
    of_tag: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ValidationError, match=fault):
        groups(**of_tag)


def test_users_and_items_have_their_ids_as_keys() -> None:
    with pytest.raises(ValidationError, match="group user: its key is user_id; remove `key`"):
        Features.model_validate({"user": {"key": "user_age", "aggregates": []}, "item": {"aggregates": []}})
    with pytest.raises(ValidationError, match="should match pattern"):
        Features.model_validate(
            {"user": {"aggregates": []}, "item": {"aggregates": []}, "Tag": {"key": "t", "aggregates": []}}
        )


@pytest.mark.parametrize(
    ("rate", "fault"),
    [
        ({"of": "shown", "per": "shown", "windows": ["3d"], "per_window": "all"}, None),
        (
            {"of": "shown", "per": "shown", "windows": ["7d"], "per_window": "all"},
            "needs aggregate shown over",
        ),
        (
            {"of": "shown", "per": "shown", "windows": ["3d"], "per_window": "7d"},
            "needs aggregate shown over",
        ),
        ({"of": "clicks", "per": "shown", "windows": ["3d"]}, "needs aggregate clicks over"),
        ({"of": "tabs", "per": "shown", "windows": ["3d"]}, "rate r divides tabs, which is last_k"),
    ],
)
def test_a_rate_divides_declared_numbers(rate: dict[str, Any], fault: str | None) -> None:
    tabs = {"name": "tabs", "agg": "last_k", "of": "tab", "k": 2, "windows": ["3d"]}
    declared = {"key": "item_tag", "aggregates": [SHOWN, tabs], "rates": [{"name": "r"} | rate]}

    if fault is None:
        assert groups(**declared).keyed["tag"].rates[0].per_window == "all"
        return
    with pytest.raises(ValidationError, match=fault):
        groups(**declared)


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(overrides=ALL)


def test_jobs_take_further_groups_first_and_users_last(config: Config) -> None:
    assert list(config.features.groups) == ["tag", "hour", "fans", "item", "user"]


def test_columns_of_a_group_have_its_name_and_belong_to_the_side_of_its_key(config: Config) -> None:
    tag = config.features.keyed["tag"]
    sides = input_sides(config)

    assert feature_columns(tag, "tag") == [
        "tag_is_never_seen",
        "tag_recency_days",
        "tag_first_event_time_all",
        "tag_last_data_date_all",
        "tag_shown_3d",
        "tag_seconds_3d",
        "tag_seconds_all",
        "tag_users_3d",
    ]
    assert array_columns(tag, "tag") == {"tag_users_3d"}
    assert {group: group_side(config, group) for group in config.features.groups} == {
        "tag": "item",
        "hour": "context",
        "fans": "user",
        "item": "item",
        "user": "user",
    }
    assert (sides["tag_shown_3d"], sides["hour_shown_all"], sides["fans_types_3d"]) == (
        "item",
        "context",
        "user",
    )


def test_the_state_is_of_all_time_measures_and_of_all_where_a_key_is_a_list(config: Config) -> None:
    states = {group: state_columns(features, group) for group, features in config.features.groups.items()}

    assert states == {
        "tag": [
            "tag_seconds_3d__sum",
            "tag_seconds_3d__count",
            "tag_seconds_all__sum",
            "tag_seconds_all__count",
            "tag_users_3d__last",
        ],
        "hour": ["hour_seconds_all__sum", "hour_seconds_all__count", "hour_seconds_all__squares"],
        "fans": [],
        "item": [],
        "user": [],
    }


def test_attributes_are_joined_to_events_where_keys_and_aggregates_read_them(config: Config) -> None:
    assert attributes_read(config.features, "item") == ["item_type", "item_tag"]
    assert attributes_read(config.features, "user") == ["user_fans_range"]
    assert attributes_read(load_config().features, "item") == []


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("features.tag={key: item_name, aggregates: []}", r"features\.tag\.key: columns \['item_name'\]"),
        ("features.tag={key: is_click, aggregates: []}", r"features\.tag\.key: columns \['is_click'\]"),
        ("features.user.key=tab", "group user: its key is user_id"),
        (
            "features.tag={key: [user_id, tab], aggregates: []}",
            r"features\.tag\.key: columns \['tab'\] are not declared; declared are \['item_",
        ),
        (
            "features.item_author={key: item_tag, aggregates: []}",
            "item_author_id, the key of its tables, is a declared column",
        ),
        (
            "features.tag={key: item_tag, aggregates: [{name: a, agg: mean, of: hour, windows: [all]}]}",
            r"features\.tag\.aggregates\.a\.of: hour is no behaviour; mean is exact only",
        ),
        (
            "features.tag={key: item_tag, aggregates: [{name: a, agg: last, of: name, windows: [all]}]}",
            r"features\.tag\.aggregates\.a\.of: columns \['name'\] are not declared",
        ),
        (
            "features.item_click={key: item_tag, aggregates: [{name: count, agg: count, windows: [1d]}]}",
            "column item_click_count_1d is declared twice",
        ),
    ],
)
def test_a_group_reads_declared_columns(override: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        load_config(overrides=[override])


CROSS = (
    "features.taste={key: [user_id, item_tag], split: ',', aggregates: "
    "[{name: shown, agg: count, windows: [3d, 7d]}, "
    "{name: seconds, agg: mean, of: play_seconds, windows: [3d]}]}"
)


def test_a_cross_has_the_columns_that_are_declared_and_belongs_to_the_pair() -> None:
    config = load_config(overrides=[CROSS])
    taste = config.features.keyed["taste"]

    assert (taste.is_cross, taste.key_column) == (True, "item_tag")
    assert key_columns(taste, "taste") == ["user_id", "taste_id"]
    assert feature_columns(taste, "taste") == ["taste_shown_3d", "taste_shown_7d", "taste_seconds_3d"]
    assert state_columns(taste, "taste") == ["taste_seconds_3d__sum", "taste_seconds_3d__count"]
    assert {input_sides(config)[column] for column in feature_columns(taste, "taste")} == {"pair"}
    assert attributes_read(config.features, "item") == ["item_tag"]
    assert (taste.model_dump()["key"], load_config(overrides=ALL).features.keyed["tag"].key) == (
        ("user_id", "item_tag"),
        "item_tag",
    )


def test_a_model_reads_a_cross_by_dense_inputs() -> None:
    with pytest.raises(ConfigError, match=r"inputs\.categorical: \['taste_shown_3d'\] are of a cross"):
        load_config(overrides=[CROSS, "inputs.categorical=[{column: taste_shown_3d, dim: 4}]"])


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("inputs.categorical=[{column: tag_users_3d, dim: 4, max_values: 3}]", None),
        ("inputs.categorical=[{column: tag_users_3d, dim: 4, split: ','}]", "is an array; leave out `split`"),
        ("inputs.categorical=[{column: item_type, dim: 4, max_values: 3}]", "max_values is 3, and split is"),
        ("inputs.dense=[{column: tag_users_3d}]", r"\['tag_users_3d'\] hold several values"),
    ],
)
def test_several_values_are_a_bag(override: str, fault: str | None) -> None:
    others = [f"model.input.id_dropout={yaml.safe_dump({}).strip()}"]
    if fault is None:
        (column,) = load_config(overrides=[*ALL, override, *others]).inputs.categorical
        assert (column.column, column.max_values) == ("tag_users_3d", 3)
        return
    with pytest.raises(ConfigError, match=fault):
        load_config(overrides=[*ALL, override, *others])


def test_a_group_is_hashed_key_by_key(config: Config) -> None:
    hashes = hashes_of_keys(config, ["features"])

    assert {"features.tag.key", "features.tag.split", "features.tag.aggregates[seconds].agg"} <= set(hashes)
    assert declared_part(config, ["features"]).features == config.features
