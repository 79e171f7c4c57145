"""Groups of features with every aggregate, and a recomputation of them from raw events in plain Python."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from statistics import variance
from typing import Any

import yaml

from core.features import Aggregate, FeatureGroup
from core.schema import Config
from tests.features.small import CONFIG, Event, may

AGGREGATES = """
- {name: shown_count, agg: count, windows: [1d, 3d, all]}
- {name: click_count, agg: sum, of: is_click, windows: [1d, 3d, all]}
- {name: most_seconds, agg: max, of: play_seconds, where: tab = 1, windows: [3d, all]}
- {name: mean_seconds, agg: mean, of: play_seconds, where: is_click = 1, windows: [2d, all]}
- {name: seconds_variance, agg: variance, of: play_seconds, windows: [2d, all]}
- {name: click_variance, agg: variance, of: is_click, windows: [all]}
- {name: first_tab, agg: first, of: tab, where: is_click = 1, windows: [2d, all]}
- {name: last_item, agg: last, of: item_id, windows: [2d, all]}
- {name: item_count, agg: distinct, of: item_id, where: tab > 0, windows: [2d, all]}
- {name: seconds_count, agg: distinct, of: play_seconds, windows: [all]}
- {name: top_items, agg: top_k, of: item_id, k: 2, where: tab > 0, windows: [2d, all]}
- {name: top_tags, agg: top_k, of: item_tag, split: "+", k: 2, windows: [all]}
- {name: last_items, agg: last_k, of: item_id, k: 3, where: is_click = 1, windows: [2d, all]}
- {name: click_days, agg: recency, where: is_click = 1, windows: [2d, all]}
"""
RATES = """
- {name: click_trend, of: click_count, per: click_count, windows: [1d], per_window: 3d}
- {name: variety, of: item_count, per: shown_count, windows: [all], smoothing: {prior: 0.5, strength: 3}}
"""
GROUPS = {"city": {"key": "user_city"}, "tag": {"key": "item_tag", "split": "+"}, "page": {"key": "tab"}}

CHOICES: dict[str | None, Callable[[Event], bool]] = {
    None: lambda _: True,
    "tab = 1": lambda e: e.tab == 1,
    "tab > 0": lambda e: e.tab > 0,
    "is_click = 1": lambda e: e.click == 1,
}
"""`where` of aggregates -> the same in Python."""

Tags = Callable[[int, int], str | None]


def config_with_groups() -> Config:
    """The small configuration: users have all aggregates, and so have cities, tags and tabs."""
    values = yaml.safe_load(CONFIG)
    measured = {"aggregates": yaml.safe_load(AGGREGATES), "rates": yaml.safe_load(RATES)}
    values["features"]["user"]["aggregates"] += measured["aggregates"][2:]
    for group, key in GROUPS.items():
        values["features"][group] = key | measured
    return Config.model_validate(values)


def measured(
    group: str, features: FeatureGroup, events: Sequence[Event], as_of: date, tags: Tags
) -> dict[str, Any]:
    """Return the feature columns of one key, without attributes, from its events up to a date.

    Args:
        group: its name.
        features: the declaration.
        events: of the key; one that counts for two values of a list stands twice.
        as_of: the data date.
        tags: item and day of May -> tags of the item.
    """
    history = [event for event in events if event.data_date <= as_of]
    last = max((event.data_date for event in history), default=None)
    found: dict[str, Any] = {
        f"{group}_is_never_seen": not history,
        f"{group}_recency_days": (as_of - last).days if last else None,
        f"{group}_first_event_time_all": min((moment(e)[0] for e in history), default=None),
        f"{group}_last_data_date_all": last,
    }
    for aggregate in features.aggregates:
        for window in aggregate.windows:
            days = 10_000 if window == "all" else int(window[:-1])
            inside = [e for e in history if e.data_date > as_of - timedelta(days=days)]
            found[f"{group}_{aggregate.name}_{window}"] = value(aggregate, inside, as_of, tags)
    for rate in features.rates:
        for window in rate.windows:
            of = found[f"{group}_{rate.of}_{window}"]
            per = found[f"{group}_{rate.per}_{rate.per_window or window}"]
            prior, strength = (rate.smoothing.prior, rate.smoothing.strength) if rate.smoothing else (0, 0)
            rated = (of + prior * strength) / (per + strength) if per else None
            found[f"{group}_{rate.name}_{window}"] = rated
    return found


def value(aggregate: Aggregate, inside: Sequence[Event], as_of: date, tags: Tags) -> Any:
    """Return one aggregate over the events of its window."""
    chosen = [event for event in inside if CHOICES[aggregate.where](event)]
    in_order = sorted(set(chosen), key=moment)
    read = {
        "is_click": lambda e: e.click,
        "play_seconds": lambda e: Decimal(e.seconds).quantize(Decimal("0.001")),
        "item_id": lambda e: e.item,
        "tab": lambda e: e.tab,
        None: lambda e: 1,
        "item_tag": lambda e: tags(e.item, e.day),
    }[aggregate.of]
    values = [read(event) for event in chosen]
    by_agg: dict[str, Callable[[], Any]] = {
        "count": lambda: len(values),
        "sum": lambda: sum(values),
        "min": lambda: min(values, default=None),
        "max": lambda: max(values, default=None),
        "mean": lambda: float(sum(values) / len(values)) if values else None,
        "variance": lambda: float(variance(values)) if len(values) > 1 else None,
        "first": lambda: read(in_order[0]) if in_order else None,
        "last": lambda: read(in_order[-1]) if in_order else None,
        "distinct": lambda: len(set(values)),
        "top_k": lambda: most_frequent(values, aggregate),
        "last_k": lambda: [read(event) for event in reversed(in_order)][: aggregate.k] or None,
        "recency": lambda: min(((as_of - event.data_date).days for event in chosen), default=None),
    }
    return by_agg[aggregate.agg]()


def most_frequent(values: Iterable[Any], aggregate: Aggregate) -> list[Any] | None:
    """Return the k most frequent values, ties by value."""
    if aggregate.split is not None:
        values = [each for text in values for each in values_in(text, aggregate.split)]
    counted = Counter(values)
    return sorted(counted, key=lambda each: (-counted[each], each))[: aggregate.k] or None


def values_in(text: str | None, separator: str = "+") -> list[str]:
    """Return the values of a list, each once."""
    return sorted({value.strip() for value in (text or "").split(separator)} - {""})


def moment(event: Event) -> tuple[Any, str]:
    """What events are ordered by."""
    return may(event.day, event.hour).replace(tzinfo=None), event.event_id
