"""Features that are asked for by name."""

import pytest

from core.errors import ConfigError
from jobs.runtime.spine import Wanted, wanted_features
from tests.features.measured import config_with_groups
from tests.features.small import small_config


def test_features_are_named_by_group_and_column() -> None:
    named = ["user.user_click_count_3d", " item.cohort", "user.user_city", "user.user_click_count_3d"]

    assert wanted_features(small_config(), named) == [
        Wanted("user", "user_click_count_3d"),
        Wanted("item", "item_cohort"),
        Wanted("user", "user_city"),
    ]


def test_further_groups_have_features_and_no_cohort() -> None:
    config = config_with_groups()

    assert wanted_features(config, ["tag.tag_shown_count_1d"]) == [Wanted("tag", "tag_shown_count_1d")]
    with pytest.raises(ConfigError, match="tag has no feature 'cohort'; it has tag_is_never_seen"):
        wanted_features(config, ["tag.cohort"])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no feature is named; expected GROUP.COLUMN"),
        (["user_city"], "user_city: expected GROUP.COLUMN, where GROUP is one of item, user"),
        (["author.count"], "author.count: expected GROUP.COLUMN, where GROUP is one of item, user"),
        (["user.city"], "user.city: user has no feature 'city'; it has user_is_never_seen, .*user_city"),
        (["user."], "user has no feature ''"),
    ],
)
def test_a_feature_that_is_not_there_is_refused(names: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        wanted_features(small_config(), names)
