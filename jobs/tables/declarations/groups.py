"""Tables of a group of features: tiles, state where its aggregates need one, features."""

import hashlib
import json

from pyspark.sql import types as T

from core.columns import feature_columns, key_columns, measured_columns, part_columns, stored_measures
from core.expressions import columns_of
from core.features import Aggregate
from core.schema import Config
from core.source import Mapping
from jobs.tables.declarations.entry import context_types, key_types
from jobs.tables.table import BINARY, BOOLEAN, DATE, DOUBLE, INT, LONG, STRING, TIME, Columns, Table, sql_type


def group_tables(config: Config, group: str) -> list[Table]:
    """Return tiles, state and features of a group."""
    features = config.features.groups[group]
    keys = _key_types(config, group)
    counts = [a for a in features.aggregates if a.agg == "count"]
    bounds = [f"{group}_{a.name}_{w} >= 0" for a in counts for w in a.windows]
    bounds += [  # all-time holds every window
        f"{group}_{a.name}_{w} <= {group}_{a.name}_all"
        for a in counts
        for w in a.windows
        if "all" in a.windows and w != "all"
    ]
    grain = (*keys, "data_date")
    tiles = {
        name: kind for a in features.aggregates for name, kind in _named_parts(config, a, a.name).items()
    }
    state = {
        name: kind
        for aggregate, window in stored_measures(features)
        for name, kind in _named_parts(config, aggregate, f"{group}_{aggregate.name}_{window}").items()
    }
    key = group if features.key is None else f"value of `{features.key_column}`"
    known = f"known {key}" if features.key is None else f"seen {key}"
    if features.is_cross:
        key = f"user and {key}"
        known = f"{key} with an event in the longest window"
    tables = [
        Table(
            f"{group}_daily",
            grain,
            keys | {"data_date": DATE, "first_event_time": TIME} | tiles,
            not_content=_sketches(tiles),
            holds=f"tiles: what the events of one data date add up to, per {key}",
            is_large=True,
        ),
        Table(
            f"{group}_state",
            grain,
            keys | {"data_date": DATE} | state,
            not_content=_sketches(state),
            holds=f"what measures of `{group}_features` are continued and merged from, as of the data date",
            is_large=True,
        ),
        Table(
            f"{group}_features",
            grain,
            keys | {"data_date": DATE} | feature_types(config, group),
            constraints=tuple(bounds),
            has_suite=True,
            column_fingerprints=_column_fingerprints(config, group),
            holds=f"features as of the data date; one row for every {known}",
            is_large=True,
        ),
    ]
    return [table for table in tables if state or table.name != f"{group}_state"]


def feature_types(config: Config, group: str) -> Columns:
    """Return feature column -> type; rates are doubles, and recency is in days."""
    features = config.features.groups[group]
    built_in = {
        f"{group}_is_never_seen": BOOLEAN,
        f"{group}_recency_days": INT,
        f"{group}_first_event_time_all": TIME,
        f"{group}_last_data_date_all": DATE,
    }
    windows = {
        f"{group}_{a.name}_{window}": _value_type(config, a)
        for a in features.aggregates
        for window in a.windows
    }
    known = built_in | windows | (attribute_types(config, group) if group in ("user", "item") else {})
    return {name: known.get(name, DOUBLE) for name in feature_columns(features, group)}


def attribute_types(config: Config, entity: str) -> Columns:
    """Return attribute -> type, of users or items."""
    return {name: sql_type(column.type) for name, column in _attributes(config, entity).items()}


def _attributes(config: Config, entity: str) -> dict[str, Mapping]:
    return config.source.attributes("user" if entity == "user" else "item")


def _key_types(config: Config, group: str) -> Columns:
    """Return key column of a group's tables -> type."""
    features, types = config.features.groups[group], _column_types(config)
    *owner, value = key_columns(features, group)
    own = STRING if features.split is not None else types[features.key_column or value]
    return {name: types[name] for name in owner} | {value: own}


def _column_types(config: Config) -> Columns:
    """Return column -> type of what a key or an aggregate may read."""
    ids = {f"{entity}_id": kind for entity, kind in key_types(config).items()}
    attributes = attribute_types(config, "user") | attribute_types(config, "item")
    exact = {name: sql_type(column.data_type) for name, column in measured_columns(config).items()}
    return ids | {"event_time": TIME} | context_types(config) | exact | attributes


def _named_parts(config: Config, aggregate: Aggregate, column: str) -> Columns:
    """Return the columns of an aggregate's parts -> type."""
    return dict(zip(part_columns(column, aggregate.agg), _part_types(config, aggregate), strict=True))


def _part_types(config: Config, aggregate: Aggregate) -> list[T.DataType]:
    match aggregate.agg:
        case "count":
            return [LONG]
        case "recency":
            return [DATE]
        case "distinct":
            return [BINARY]
        case "sum" | "mean" | "variance":
            behaviour = measured_columns(config)[str(aggregate.of)]
            sums = [sql_type(behaviour.sum_type), LONG, sql_type(behaviour.square_type)]
            return sums[: len(part_columns("", aggregate.agg))]
        case "top_k":
            return [_array(_struct(value=_of_type(config, aggregate), count=LONG))]
        case "first" | "last":
            return [_struct(event_time=TIME, event_id=STRING, value=_of_type(config, aggregate))]
        case "last_k":
            return [_array(_struct(event_time=TIME, event_id=STRING, value=_of_type(config, aggregate)))]
        case "min" | "max":
            return [_of_type(config, aggregate)]


def _value_type(config: Config, aggregate: Aggregate) -> T.DataType:
    match aggregate.agg:
        case "mean" | "variance":
            return DOUBLE
        case "distinct":
            return LONG
        case "recency":
            return INT
        case "first" | "last":
            return _of_type(config, aggregate)
        case "top_k" | "last_k":
            return _array(_of_type(config, aggregate))
        case _:
            return _part_types(config, aggregate)[0]


def _of_type(config: Config, aggregate: Aggregate) -> T.DataType:
    return STRING if aggregate.split is not None else _column_types(config)[str(aggregate.of)]


def _array(element: T.DataType) -> T.DataType:
    return T.ArrayType(element)


def _struct(**fields: T.DataType) -> T.DataType:
    return T.StructType([T.StructField(name, kind) for name, kind in fields.items()])


def _sketches(columns: Columns) -> tuple[str, ...]:
    """Return the columns whose bytes depend on the order of rows, though what is read from them does not."""
    return tuple(name for name, kind in columns.items() if kind == BINARY)


def _column_fingerprints(config: Config, group: str) -> dict[str, str]:
    """Return feature column -> hash of all that declares it, down to the columns of the event."""
    features = config.features.groups[group]
    key = (
        []
        if features.key is None
        else [features.key, features.split, _declared_columns(config, {str(features.key_column)})]
    )
    aggregates = {a.name: [*_declared_aggregate(config, a), *key] for a in features.aggregates}
    declared: dict[str, object] = {
        f"{group}_{a.name}_{window}": [aggregates[a.name], window]
        for a in features.aggregates
        for window in a.windows
    }
    declared |= {
        f"{group}_{r.name}_{window}": [
            r.model_dump(mode="json", exclude={"windows"}, exclude_defaults=True),
            aggregates[r.of],
            aggregates[r.per],
            window,
        ]
        for r in features.rates
        for window in r.windows
    }
    attributes = _attributes(config, group)
    declared |= {name: attributes[name].model_dump(mode="json") for name in features.attributes}
    return {  # built-in columns follow from the key and the code alone
        name: hashlib.sha256(json.dumps(declared.get(name, key), sort_keys=True).encode()).hexdigest()[:16]
        for name in feature_columns(features, group)
    }


def _declared_aggregate(config: Config, aggregate: Aggregate) -> list[object]:
    """Return an aggregate with the columns that it reads."""
    read = {aggregate.of} if aggregate.of is not None else set()
    if aggregate.where is not None:
        read |= columns_of(aggregate.where, f"features: {aggregate.name}")
    own = aggregate.model_dump(mode="json", exclude={"windows"}, exclude_defaults=True)
    return [own, _declared_columns(config, read)]


def _declared_columns(config: Config, names: set[str]) -> dict[str, object]:
    """Return column -> its declaration, of columns of events and attributes."""
    declared = {
        **config.source.events.columns,
        **measured_columns(config),
        **config.source.attributes("user"),
        **config.source.attributes("item"),
    }
    code = {name: each.code for each in config.derived.values() for name in each.columns}
    return {
        name: [declared[name].model_dump(mode="json"), *([code[name]] if name in code else [])]
        for name in sorted(names & set(declared))
    }
