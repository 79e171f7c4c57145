"""Names of the columns that a configuration declares, in their order."""

from collections.abc import Iterator

from core.encoder import Entity
from core.features import WITH_K, Aggregate, FeatureGroup, Rate
from core.schema import Config
from core.source import Behaviour

PARTS = {
    "mean": ("sum", "count"),
    "variance": ("sum", "count", "squares"),
    "first": ("first",),
    "last": ("last",),
    "distinct": ("sketch",),
    "top_k": ("counts",),
    "last_k": ("last",),
    "recency": ("date",),
}
"""Aggregate -> what is merged over days where its value cannot be; the others are merged themselves."""


def context_columns(config: Config) -> list[str]:
    """Return the columns of an impression that are neither key, time nor behaviour."""
    return [c for c in config.source.events.columns if c not in ("user_id", "item_id", "event_time")]


def event_columns(config: Config) -> list[str]:
    """Return the columns of `events` that an expression may read."""
    return ["user_id", "item_id", "event_time", *context_columns(config), *config.behaviours]


def measured_columns(config: Config) -> dict[str, Behaviour]:
    """Return the columns of events that have exact sums: behaviours, and those that functions derive."""
    derived = {name: column for each in config.derived.values() for name, column in each.columns.items()}
    return config.behaviours | derived


def input_sides(config: Config) -> dict[str, Entity]:
    """Return every column that a model may read -> the side of a (user, item) pair that it belongs to."""
    features = config.features
    columns: list[tuple[Entity, list[str]]] = [
        ("user", ["user_id", *feature_columns(features.user, "user"), "user_cohort"]),
        ("item", ["item_id", *feature_columns(features.item, "item"), "item_cohort"]),
        ("context", context_columns(config)),
        *((group_side(config, name), feature_columns(group, name)) for name, group in features.keyed.items()),
    ]
    return {name: side for side, names in columns for name in names}


def group_side(config: Config, group: str) -> Entity:
    """Return the side of a (user, item) pair that a group's key belongs to; of a cross, the pair itself."""
    features = config.features
    if features.groups[group].is_cross:
        return "pair"
    key = features.groups[group].key_column
    if group == "user" or key in features.user.attributes:
        return "user"
    return "item" if group == "item" or key in features.item.attributes else "context"


def key_columns(features: FeatureGroup, group: str) -> list[str]:
    """Return the columns that identify a row of a group's tables, beside the data date."""
    return ["user_id", f"{group}_id"] if features.is_cross else [f"{group}_id"]


def feature_columns(features: FeatureGroup, group: str) -> list[str]:
    """Return the columns of `<group>_features` after the key and the data date."""
    measures: tuple[Aggregate | Rate, ...] = (*features.aggregates, *features.rates)
    measured = [f"{measure.name}_{window}" for measure in measures for window in measure.windows]
    names = (*built_in_features(features), *measured)
    return [*(f"{group}_{name}" for name in names), *features.attributes]


def built_in_features(features: FeatureGroup) -> tuple[str, ...]:
    """Return what a group has undeclared: when its keys were seen, of all days; nothing for a cross."""
    if features.is_cross:
        return ()
    return ("is_never_seen", "recency_days", "first_event_time_all", "last_data_date_all")


def array_columns(features: FeatureGroup, group: str) -> set[str]:
    """Return the feature columns that hold several values."""
    return {f"{group}_{a.name}_{w}" for a in features.aggregates if a.agg in WITH_K for w in a.windows}


def part_columns(column: str, agg: str) -> list[str]:
    """Return the columns that are merged for one measure: its own, or those of its parts."""
    return [f"{column}__{part}" for part in PARTS[agg]] if agg in PARTS else [column]


def state_columns(features: FeatureGroup, group: str) -> list[str]:
    """Return the columns of `<group>_state` after the key and the data date; none: there is no such table.

    All-time measures are continued from it. Where a key is a list of values (`split`), those of the other
    windows are merged over the values as well.
    """
    return [
        column
        for aggregate, window in stored_measures(features)
        for column in part_columns(f"{group}_{aggregate.name}_{window}", aggregate.agg)
    ]


def stored_measures(features: FeatureGroup) -> Iterator[tuple[Aggregate, str]]:
    """Yield each aggregate and window whose parts are stored."""
    for aggregate in features.aggregates:
        for window in aggregate.windows:
            if aggregate.agg in PARTS and (window == "all" or features.split is not None):
                yield aggregate, window
