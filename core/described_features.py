"""What each feature column is, in words, as it follows from the declarations of a data set."""

from collections.abc import Iterator
from dataclasses import dataclass

from core.columns import feature_columns, key_columns, measured_columns
from core.features import TOTALS, Aggregate, FeatureGroup, Rate
from core.schema import Config

EVENTS = "events"


@dataclass(frozen=True)
class FeatureDescription:
    """One column of a feature table.

    Attributes:
        group: whose features it is among: user, item, or a further group.
        name: of the column.
        key: column that identifies a row of the group as of a data date; of a cross two, "user_id, tag_id".
        window: days up to the data date, such as 7d; "all": all days; "": it is no measure over days.
        source: expression that it is made by, over columns of events, other features or the source's file.
        unit: of its values; "": the source declares none.
        null: when it is null.
    """

    group: str
    name: str
    key: str
    window: str
    source: str
    unit: str
    null: str


def described_features(config: Config) -> list[FeatureDescription]:
    """Return all feature columns, users first, each group in the order of its table."""
    return [each for group in reversed(config.features.groups) for each in _of_group(config, group)]


def _of_group(config: Config, group: str) -> list[FeatureDescription]:
    features = config.features.groups[group]
    key = ", ".join(key_columns(features, group))
    found = {each.name: each for each in (*_built_in(group, key), *_measured(config, group, features, key))}
    found |= {each.name: each for each in _attributes(config, group, features, key)}
    return [found[name] for name in feature_columns(features, group)]


def _built_in(group: str, key: str) -> Iterator[FeatureDescription]:
    without = "without events"
    for name, window, source, unit, null in (
        ("is_never_seen", "all", "count(*) = 0", "true or false", "never"),
        ("recency_days", "all", "data_date - max(data_date of events)", "days", without),
        ("first_event_time_all", "all", "min(event_time)", "time", without),
        ("last_data_date_all", "all", "max(data_date of events)", "date", without),
    ):
        yield FeatureDescription(group, f"{group}_{name}", key, window, source, unit, null)


def _measured(config: Config, group: str, features: FeatureGroup, key: str) -> Iterator[FeatureDescription]:
    units = {each.name: _unit(config, each) for each in features.aggregates}
    for aggregate in features.aggregates:
        is_total = aggregate.agg in TOTALS
        null = "never; 0 without events" if is_total else "without a value in the window"
        for window in aggregate.windows:
            name = f"{group}_{aggregate.name}_{window}"
            unit = units[aggregate.name]
            yield FeatureDescription(group, name, key, window, _aggregated(aggregate), unit, null)
    for rate in features.rates:
        unit = f"{units[rate.of]} per {units[rate.per]}"
        null = f"where {rate.per} is 0"
        for window in rate.windows:
            name = f"{group}_{rate.name}_{window}"
            yield FeatureDescription(group, name, key, window, _divided(rate), unit, null)


def _attributes(config: Config, group: str, features: FeatureGroup, key: str) -> Iterator[FeatureDescription]:
    source = config.source.users if group == "user" else config.source.items
    declared = config.source.attributes("user" if group == "user" else "item")
    path = "" if source is None else f" of {source.path}"
    null = "where the source holds no readable value"
    for name in features.attributes:
        expression = f"{declared[name].expr}{path}"
        yield FeatureDescription(group, name, key, "", expression, "", null)


def _aggregated(aggregate: Aggregate) -> str:
    where = f" where {aggregate.where}" if aggregate.where else ""
    k = f", {aggregate.k}" if aggregate.k is not None else ""
    return f"{aggregate.agg}({aggregate.of or '*'}{k}){where}"


def _divided(rate: Rate) -> str:
    per = rate.per if rate.per_window is None else f"{rate.per} of {rate.per_window}"
    if rate.smoothing is None:
        return f"{rate.of} / {per}"
    prior, strength = rate.smoothing.prior, rate.smoothing.strength
    return f"({rate.of} + {prior:g} * {strength:g}) / ({per} + {strength:g})"


def _unit(config: Config, aggregate: Aggregate) -> str:
    """Return the unit of an aggregate: events, seconds, or that of what it is of."""
    if aggregate.agg in ("recency", "distinct"):
        return "days" if aggregate.agg == "recency" else "values"
    if aggregate.of is None:
        return EVENTS
    behaviour = measured_columns(config).get(aggregate.of)
    if aggregate.agg == "variance":
        return f"square of {aggregate.of}"
    if behaviour is None or behaviour.kind == "number":
        return f"as {aggregate.of}"
    if behaviour.kind == "seconds":
        return "seconds"
    return EVENTS if aggregate.agg == "sum" else "0 or 1"
