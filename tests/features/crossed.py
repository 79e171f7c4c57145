"""The small configuration with two crosses: users with the tags of items, and with the items themselves.

Beside them is a group of a context column.
"""

import random
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import yaml

from core.columns import feature_columns
from core.schema import Config
from tests.features.measured import Tags, measured, values_in
from tests.features.small import CONFIG, Event

AGGREGATES = """
- {name: shown_count, agg: count, windows: [1d, 3d]}
- {name: click_count, agg: sum, of: is_click, windows: [3d]}
- {name: mean_seconds, agg: mean, of: play_seconds, windows: [2d]}
- {name: most_seconds, agg: max, of: play_seconds, where: is_click = 1, windows: [3d]}
- {name: item_count, agg: distinct, of: item_id, windows: [3d]}
- {name: click_days, agg: recency, where: is_click = 1, windows: [3d]}
"""
RATES = """
- {name: click_rate, of: click_count, per: shown_count, windows: [3d], smoothing: {prior: 0.3, strength: 7}}
"""
GROUPS: dict[str, dict[str, Any]] = {
    "taste": {"key": ["user_id", "item_tag"], "split": "+"},
    "again": {"key": ["user_id", "item_id"]},
}
LONGEST_DAYS = 3
TAGS = {1: "x", 2: "x+y", 3: " y + z+", 4: None, 5: ""}


def config_with_crosses() -> Config:
    values = yaml.safe_load(CONFIG)
    for group, key in GROUPS.items():
        values["features"][group] = key | {
            "aggregates": yaml.safe_load(AGGREGATES),
            "rates": yaml.safe_load(RATES),
        }
    page = {"name": "shown_count", "agg": "count", "windows": ["1d"]}
    values["features"]["page"] = {"key": "tab", "aggregates": [page]}
    values["inputs"]["dense"] += [{"column": f"{group}_shown_count_3d"} for group in GROUPS]
    return Config.model_validate(values)


def values_of(group: str, item: int, day: int, tags: Tags) -> list[Any]:
    """The values of an item that its events count for, and that examples read."""
    return [item] if group == "again" else values_in(tags(item, day))


def of_pair(
    config: Config,
    group: str,
    log: Sequence[Event],
    user: int,
    values: Sequence[Any],
    as_of: date,
    tags: Tags,
) -> dict[str, Any]:
    """The features of a user and some values; an event that counts for two values counts twice."""
    own = [
        event
        for value in values
        for event in log
        if event.user == user and value in values_of(group, event.item, event.day, tags)
    ]
    features = config.features.groups[group]
    found = measured(group, features, own, as_of, tags)
    return {column: found[column] for column in feature_columns(features, group)}


def pairs_seen(group: str, log: Sequence[Event], as_of: date, tags: Tags) -> list[tuple[int, Any]]:
    """The pairs with an event in the longest window."""
    first = as_of - timedelta(days=LONGEST_DAYS - 1)
    inside = [event for event in log if first <= event.data_date <= as_of]
    return sorted({(e.user, value) for e in inside for value in values_of(group, e.item, e.day, tags)})


def some_events(seed: int, days: Sequence[int]) -> list[Event]:
    """Sixty events of users 1 to 4 and items 1 to 6, some of which have tags."""
    chance = random.Random(seed)
    return [
        Event(
            user=chance.randint(1, 4),
            item=chance.randint(1, 6),
            day=chance.choice(days),
            click=chance.randint(0, 1),
            seconds=f"{chance.randint(0, 999) / 8:.3f}",
            tab=chance.randint(0, 2),
            number=number,
        )
        for number in range(60)
    ]
