"""Features that are asked for by name."""

import pytest

from core.errors import ConfigError
from jobs.runtime.spine import Wanted, wanted_features
from tests.features.small import small_config


def test_features_are_named_by_group_and_column() -> None:
    named = ["user.user_click_count_3d", " item.cohort", "user.user_city", "user.user_click_count_3d"]

    assert wanted_features(small_config(), named) == [
        Wanted("user", "user_click_count_3d"),
        Wanted("item", "item_cohort"),
        Wanted("user", "user_city"),
    ]


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
