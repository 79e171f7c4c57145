"""Tables of users and of items: attributes, tiles, features, cohorts."""

import hashlib
import json

from core.columns import feature_columns
from core.config_model import EntityName
from core.expressions import columns_of
from core.schema import Aggregate, Config
from jobs.tables.declarations.entry import behaviour_types, context_types, key_types
from jobs.tables.table import BOOLEAN, DATE, DOUBLE, INT, LONG, STRING, TIME, Columns, Table, sql_type


def entity_tables(config: Config, entity: EntityName) -> list[Table]:
    """Return attributes, tiles, features and cohorts of users or items."""
    features = getattr(config.features, entity)
    attributes = {name: sql_type(column.type) for name, column in config.source.attributes(entity).items()}
    id_column = {f"{entity}_id": key_types(config)[entity]}
    counts = [a for a in features.aggregates if a.agg == "count"]
    bounds = [f"{entity}_{a.name}_{w} >= 0" for a in counts for w in a.windows]
    bounds += [  # all-time holds every window
        f"{entity}_{a.name}_{w} <= {entity}_{a.name}_all"
        for a in counts
        for w in a.windows
        if "all" in a.windows and w != "all"
    ]
    grain = (f"{entity}_id", "data_date")
    return [
        Table(
            f"{entity}s",
            (f"{entity}_id", "valid_from"),
            id_column | {"valid_from": DATE, "valid_to": DATE} | attributes,
            partition=(),
            constraints=("valid_to IS NULL OR valid_from < valid_to",),
            holds=f"attributes of {entity}s, with the dates between which they are valid",
            is_large=True,
            date_column=None,
        ),
        Table(
            f"{entity}_daily",
            grain,
            id_column | {"data_date": DATE, "first_event_time": TIME} | measure_types(config, entity),
            holds=f"tiles: what the events of one data date add up to, per {entity}",
            is_large=True,
        ),
        Table(
            f"{entity}_features",
            grain,
            id_column | {"data_date": DATE} | feature_types(config, entity),
            constraints=tuple(bounds),
            has_suite=True,
            column_fingerprints=_column_fingerprints(config, entity),
            holds=f"features as of the data date; one row for every known {entity}",
            is_large=True,
        ),
        Table(
            f"{entity}_cohorts",
            grain,
            id_column | {"data_date": DATE, "cohort": STRING, "rule_version": INT},
            constraints=("cohort IS NOT NULL",),
            has_suite=True,
            holds=f"cohort as of the data date; one row for every known {entity}",
            is_large=True,
        ),
    ]


def measure_types(config: Config, entity: EntityName) -> Columns:
    """Return aggregate -> type."""
    ids = {f"{each}_id": kind for each, kind in key_types(config).items()}
    event_types = {**ids, "event_time": TIME, **context_types(config), **behaviour_types(config)}
    measures: Columns = {}
    for aggregate in getattr(config.features, entity).aggregates:
        if aggregate.of is None:
            measures[aggregate.name] = LONG
        elif aggregate.agg == "sum":
            measures[aggregate.name] = sql_type(config.behaviours[aggregate.of].sum_type)
        else:
            measures[aggregate.name] = event_types[aggregate.of]
    return measures


def feature_types(config: Config, entity: EntityName) -> Columns:
    """Return feature column -> type; rates and recency in days are doubles."""
    features = getattr(config.features, entity)
    measures = measure_types(config, entity)
    attributes = {name: sql_type(column.type) for name, column in config.source.attributes(entity).items()}
    windows = {
        f"{entity}_{a.name}_{window}": measures[a.name] for a in features.aggregates for window in a.windows
    }
    built_in = {
        f"{entity}_is_never_seen": BOOLEAN,
        f"{entity}_recency_days": INT,
        f"{entity}_first_event_time_all": TIME,
        f"{entity}_last_data_date_all": DATE,
    }
    return {
        name: (built_in | windows | attributes).get(name, DOUBLE)
        for name in feature_columns(features, entity)
    }


def _column_fingerprints(config: Config, entity: EntityName) -> dict[str, str]:
    """Return feature column -> hash of all that declares it, down to the columns of the event."""
    features = getattr(config.features, entity)
    attributes = config.source.attributes(entity)
    aggregates = {a.name: _declared_aggregate(config, a) for a in features.aggregates}
    declared: dict[str, object] = {
        f"{entity}_{a.name}_{window}": [aggregates[a.name], window]
        for a in features.aggregates
        for window in a.windows
    }
    declared |= {
        f"{entity}_{r.name}_{window}": [
            r.model_dump(mode="json", exclude={"windows"}),
            aggregates[r.of],
            aggregates[r.per],
            window,
        ]
        for r in features.rates
        for window in r.windows
    }
    declared |= {name: attributes[name].model_dump(mode="json") for name in features.attributes}
    return {  # built-in columns follow from the code alone
        name: hashlib.sha256(json.dumps(declared.get(name), sort_keys=True).encode()).hexdigest()[:16]
        for name in feature_columns(features, entity)
    }


def _declared_aggregate(config: Config, aggregate: Aggregate) -> list[object]:
    """Return an aggregate with the behaviours and event columns that it reads."""
    read = {aggregate.of} if aggregate.of is not None else set()
    if aggregate.where is not None:
        read |= columns_of(aggregate.where, f"features: {aggregate.name}")
    declared = {**config.source.events.columns, **config.behaviours}
    columns = {name: declared[name].model_dump(mode="json") for name in sorted(read & set(declared))}
    return [aggregate.model_dump(mode="json", exclude={"windows"}), columns]
