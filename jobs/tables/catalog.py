"""Every table, declared once: grain, partitions, columns, constraints, content.

Code names tables, never paths. Columns that depend on a data set (behaviours, features, tasks) come
from its configuration.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pyspark.sql import types as T

from core.columns import context_columns, feature_columns
from core.config_model import EntityName
from core.load import PROJECT_DIR
from core.paths import join, local_path, resolve_uri
from core.schema import Config

Columns = dict[str, T.DataType]

STRING: T.DataType = T.StringType()
LONG: T.DataType = T.LongType()
INT: T.DataType = T.IntegerType()
DOUBLE: T.DataType = T.DoubleType()
BOOLEAN: T.DataType = T.BooleanType()
DATE: T.DataType = T.DateType()
TIME: T.DataType = T.TimestampType()
BINARY: T.DataType = T.BinaryType()
STRINGS: T.DataType = T.ArrayType(T.StringType())
DOUBLES: T.DataType = T.ArrayType(T.DoubleType())
TYPES: Columns = {
    kind.simpleString(): kind for kind in (T.ByteType(), INT, LONG, DOUBLE, STRING, BOOLEAN, TIME, DATE)
}
LARGE_TABLES = frozenset(
    {"events", "quarantine", "examples", "group_means", "training_blocks", "scores_staging", "scores"}
    | {f"{e}{kind}" for e in ("user", "item") for kind in ("s", "_daily", "_features", "_cohorts")}
)
"""Tables that Spark writes; the others hold a few rows per data date and are written without Spark."""


@dataclass(frozen=True)
class Table:
    """Declaration of one table.

    grain: columns that identify a row. constraints: SQL that holds in each row, besides non-null
    grain. not_content: columns that describe a run and not the world (ids of runs, times, versions);
    the digest leaves them out. has_suite: whether rows meet a suite before they are committed.
    is_large: whether it grows with users, items or events, and is written by Spark. column_fingerprints:
    column -> hash of its declaration, for tables whose columns can be filled in one by one.
    """

    name: str
    grain: tuple[str, ...]
    columns: Columns
    partition: tuple[str, ...] = ("data_date",)
    constraints: tuple[str, ...] = ()
    not_content: tuple[str, ...] = ()
    has_suite: bool = False
    is_large: bool = False
    column_fingerprints: Mapping[str, str] = field(default_factory=dict)

    @property
    def schema(self) -> T.StructType:
        """The Spark schema, all columns nullable as Delta keeps them."""
        return T.StructType([T.StructField(name, kind, True) for name, kind in self.columns.items()])

    @property
    def declaration_hash(self) -> str:
        """Hash of what the declaration says of rows: grain, partitions, columns, constraints."""
        said = [self.grain, self.partition, self.schema.json(), self.constraints]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    @property
    def has_content(self) -> bool:
        """Whether the digest has anything to hash."""
        return bool(self.content)

    @property
    def content(self) -> tuple[str, ...]:
        """Columns that the digest hashes."""
        return tuple(name for name in self.columns if name not in self.not_content)


class Catalog:
    """The tables of one data set under one warehouse.

    Attributes:
        dataset: name of the data set.
        root: URI of the folder that holds its tables.
        tables: name -> declaration.
    """

    def __init__(self, config: Config, project: Path = PROJECT_DIR) -> None:
        self.dataset = config.dataset
        self.root = join(resolve_uri(config.paths.warehouse, project, "paths.warehouse"), config.dataset)
        self.tables = {
            table.name: replace(table, is_large=table.name in LARGE_TABLES) for table in _tables(config)
        }

    def __getitem__(self, name: str) -> Table:
        return self.tables[name]

    def uri(self, name: str) -> str:
        """Return the URI of a table's folder."""
        return join(self.root, self.tables[name].name)

    def path(self, name: str) -> Path:
        """Return the local folder of a table."""
        return local_path(self.uri(name))

    @property
    def locks(self) -> Path:
        """Local folder of the lock files."""
        return local_path(self.root) / "_locks"

    def bundle(self, model_version: str) -> Path:
        """Return the local folder of a model bundle."""
        return local_path(self.root) / "_models" / model_version

    def input_types(self) -> dict[str, str]:
        """Return column -> type of what a model may read: features, cohorts, and the context."""
        tables = ("events", "user_features", "item_features")
        columns = [column for table in tables for column in self.tables[table].columns.items()]
        cohorts = [("user_cohort", STRING), ("item_cohort", STRING)]
        return {name: kind.simpleString() for name, kind in [*columns, *cohorts]}

    @property
    def registry(self) -> str:
        """URI of MLflow's database."""
        return f"sqlite:///{local_path(self.root) / '_models' / 'registry.db'}"


def sql_type(name: str) -> T.DataType:
    """Return a type of the configuration, such as bigint or decimal(12,3)."""
    if found := re.fullmatch(r"decimal\((\d+),(\d+)\)", name):
        return T.DecimalType(int(found[1]), int(found[2]))
    return TYPES[name]


def key_columns(key: Columns) -> Columns:
    """Return the key columns of both entities."""
    return {f"{entity}_id": kind for entity, kind in key.items()}


def _tables(config: Config) -> list[Table]:
    key = {
        "user": sql_type(config.source.events.columns["user_id"].type),
        "item": sql_type(config.source.events.columns["item_id"].type),
    }
    return [
        *_entry_tables(config, key),
        *_entity_tables(config, key, "user"),
        *_entity_tables(config, key, "item"),
        *_training_tables(config, key),
        *_serving_tables(config, key),
        *_run_tables(),
    ]


def _context(config: Config) -> Columns:
    return {c: sql_type(config.source.events.columns[c].type) for c in context_columns(config)}


def _behaviours(config: Config) -> Columns:
    return {name: sql_type(behaviour.data_type) for name, behaviour in config.behaviours.items()}


def _entry_tables(config: Config, key: Columns) -> list[Table]:
    binary = [name for name, behaviour in config.behaviours.items() if behaviour.kind == "binary"]
    return [
        Table(
            "source_files",
            ("path", "sha256"),
            {"path": STRING, "sha256": STRING, "file_date": DATE, "rows": LONG}
            | {"first_data_date": DATE, "last_data_date": DATE},
            partition=(),
        ),
        Table(
            "events",
            ("event_id",),
            {"event_id": STRING, "user_id": key["user"], "item_id": key["item"], "event_time": TIME}
            | _context(config)
            | _behaviours(config)
            | {"data_date": DATE},
            constraints=(
                "user_id IS NOT NULL",
                "item_id IS NOT NULL",
                *(f"{name} IN (0, 1)" for name in binary),
            ),
            has_suite=True,
        ),
        Table(
            "row_balance",
            ("data_date",),
            {"data_date": DATE, "read": LONG, "accepted": LONG, "duplicates": LONG, "conflicts": LONG}
            | {"quarantined": LONG, "late": LONG},
        ),
        Table(
            "quarantine",
            ("source_row_id",),
            {"source_row_id": STRING, "source_path": STRING, "raw_row": STRING, "failed_rules": STRINGS}
            | {"first_run_id": STRING, "last_run_id": STRING, "readmitted_by": STRING, "data_date": DATE},
            constraints=("size(failed_rules) > 0",),
            not_content=("first_run_id", "last_run_id", "readmitted_by"),
        ),
    ]


def _entity_tables(config: Config, key: Columns, entity: EntityName) -> list[Table]:
    features = getattr(config.features, entity)
    attributes = {name: sql_type(column.type) for name, column in config.source.attributes(entity).items()}
    id_column = {f"{entity}_id": key[entity]}
    event_types = {**key_columns(key), "event_time": TIME, **_context(config), **_behaviours(config)}
    measures: Columns = {}
    for aggregate in features.aggregates:
        if aggregate.of is None:
            measures[aggregate.name] = LONG
        elif aggregate.agg == "sum":
            measures[aggregate.name] = sql_type(config.behaviours[aggregate.of].sum_type)
        else:
            measures[aggregate.name] = event_types[aggregate.of]
    windows = {
        f"{entity}_{a.name}_{window}": measures[a.name] for a in features.aggregates for window in a.windows
    }
    built_in = {
        f"{entity}_is_never_seen": BOOLEAN,
        f"{entity}_recency_days": INT,
        f"{entity}_first_event_time_all": TIME,
        f"{entity}_last_data_date_all": DATE,
    }
    columns = {
        name: (built_in | windows | attributes).get(name, DOUBLE)
        for name in feature_columns(features, entity)
    }
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
        ),
        Table(
            f"{entity}_daily",
            grain,
            id_column | {"data_date": DATE, "first_event_time": TIME} | measures,
        ),
        Table(
            f"{entity}_features",
            grain,
            id_column | {"data_date": DATE} | columns,
            constraints=tuple(bounds),
            has_suite=True,
            column_fingerprints=_column_fingerprints(config, entity),
        ),
        Table(
            f"{entity}_cohorts",
            grain,
            id_column | {"data_date": DATE, "cohort": STRING, "rule_version": INT},
            constraints=("cohort IS NOT NULL",),
            has_suite=True,
        ),
    ]


def _column_fingerprints(config: Config, entity: EntityName) -> dict[str, str]:
    """Return feature column -> hash of its declaration: an aggregate, a rate, an attribute."""
    features = getattr(config.features, entity)
    attributes = config.source.attributes(entity)
    aggregates = {a.name: a.model_dump(mode="json", exclude={"windows"}) for a in features.aggregates}
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
    return {
        name: hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
        for name, what in declared.items()
    }


def _training_tables(config: Config, key: Columns) -> list[Table]:
    features = {
        name: kind
        for entity in ("user", "item")
        for name, kind in _entity_tables(config, key, entity)[2].columns.items()
        if name not in (f"{entity}_id", "data_date")
    }
    labels = {f"label_{task.name}": DOUBLE for task in config.tasks}
    masks = {f"mask_{task.name}": BOOLEAN for task in config.tasks}
    return [
        Table(
            "examples",
            ("event_id",),
            {"event_id": STRING, "data_date": DATE, "user_id": key["user"], "item_id": key["item"]}
            | {"event_time": TIME}
            | _context(config)
            | features
            | {"user_cohort": STRING, "item_cohort": STRING}
            | labels
            | masks
            | {"weight": DOUBLE},
            constraints=("user_cohort IS NOT NULL", "item_cohort IS NOT NULL"),
            has_suite=True,
        ),
        Table(
            "group_means",
            ("data_date", "task", "user_cohort", "group_value"),
            {"data_date": DATE, "task": STRING, "user_cohort": STRING, "group_value": STRING}
            | {"rows": DOUBLE, "positives": DOUBLE, "rate": DOUBLE},
        ),
        Table(
            "training_sets",
            ("training_set",),
            {"data_date": DATE, "training_set": STRING, "first_data_date": DATE, "last_data_date": DATE}
            | {"recipe": STRING, "inputs": STRINGS},
            not_content=("recipe", "inputs"),
        ),
        Table(
            "encoders",
            ("training_set",),
            {"training_set": STRING, "first_data_date": DATE, "last_data_date": DATE, "encoder": STRING},
            partition=("training_set",),
        ),
        Table(
            "training_blocks",
            ("training_set", "block_id"),
            {"block_id": STRING, "training_set": STRING, "split": STRING, "shard": INT, "block_no": INT}
            | {"rows": INT, "categorical": BINARY, "dense": BINARY, "labels": BINARY, "mask": BINARY}
            | {"weight": BINARY, "user_group": BINARY, "item_group": BINARY},
            partition=("training_set", "split"),
        ),
        Table(
            "models",
            ("data_date", "model"),
            {"data_date": DATE, "model": STRING, "model_version": STRING, "training_set": STRING}
            | {"architectures": STRINGS, "weights_sha256": STRING, "epochs": INT, "best_epoch": INT}
            | {"max_epochs": INT, "validation_loss": DOUBLE},
        ),
        Table(
            "evaluations",
            (
                *("model_version", "first_data_date", "last_data_date", "task", "cohort", "metric"),
                "baseline_version",
            ),
            {"model_version": STRING, "first_data_date": DATE, "last_data_date": DATE, "task": STRING}
            | {"cohort": STRING, "metric": STRING, "value": DOUBLE, "low": DOUBLE, "high": DOUBLE}
            | {"rows": LONG, "positives": LONG, "negatives": LONG, "baseline_version": STRING}
            | {"users": LONG, "one_class_users": LONG, "positive_users": LONG, "negative_users": LONG}
            | {"replicates": DOUBLES},
            partition=("last_data_date",),
        ),
        Table(
            "model_warnings",
            ("model_version", "last_data_date", "warning"),
            {"model_version": STRING, "last_data_date": DATE, "warning": STRING},
            partition=("last_data_date",),
        ),
        Table(
            "calibration_curves",
            ("model_version", "last_data_date", "task", "point"),
            {"model_version": STRING, "last_data_date": DATE, "task": STRING, "point": INT}
            | {"predicted": DOUBLE, "observed": DOUBLE, "weight": DOUBLE},
            partition=("last_data_date",),
        ),
        Table(
            "gate_weights",
            ("model_version", "first_data_date", "last_data_date", "gate", "expert", "cohort"),
            {"model_version": STRING, "first_data_date": DATE, "last_data_date": DATE, "gate": STRING}
            | {"expert": STRING, "cohort": STRING, "rows": LONG, "mean": DOUBLE, "std": DOUBLE}
            | {"active_share": DOUBLE},
            partition=("last_data_date",),
        ),
        Table(
            "promotions",
            ("data_date", "decision_no"),
            {"data_date": DATE, "decision_no": INT, "candidate": STRING, "champion_before": STRING}
            | {"champion_after": STRING, "served": STRING, "promoted": BOOLEAN, "reasons": STRINGS}
            | {"warnings": STRINGS},
        ),
        Table(
            "promotion_cells",
            ("data_date", "decision_no", "task", "cohort"),
            {"data_date": DATE, "decision_no": INT, "task": STRING, "cohort": STRING, "metric": STRING}
            | {"users": LONG, "gain": DOUBLE}
            | {"low": DOUBLE, "high": DOUBLE, "weight": DOUBLE, "status": STRING},
        ),
    ]


def _serving_tables(config: Config, key: Columns) -> list[Table]:
    probabilities = {f"p_{task}": DOUBLE for task in config.ranking.weights}
    scores = (
        {"user_id": key["user"], "data_date": DATE, "rank": INT, "item_id": key["item"]}
        | probabilities
        | {"score": DOUBLE, "cohort": STRING, "model_version": STRING}
    )
    grain = ("user_id", "data_date", "rank")
    bounds = (
        f"rank BETWEEN 1 AND {config.ranking.top_k}",
        *(f"{name} BETWEEN 0 AND 1" for name in probabilities),
    )
    return [
        Table(
            "scores_staging",
            grain,
            scores | {"bucket": INT, "fingerprint": STRING},
            partition=("data_date", "bucket"),
            constraints=bounds,
            not_content=("fingerprint",),
        ),
        Table("scores", grain, scores, constraints=bounds, has_suite=True),
        Table(
            "publications",
            ("seq",),
            {"seq": LONG, "data_date": DATE, "action": STRING, "reason": STRING, "model_version": STRING}
            | {"scores_version": LONG, "fingerprint": STRING},
            partition=(),
            not_content=("scores_version", "fingerprint"),
        ),
        Table(
            "outcomes",
            ("data_date", "metric", "task", "cohort"),
            {"data_date": DATE, "metric": STRING, "task": STRING, "cohort": STRING, "value": DOUBLE}
            | {"users": LONG, "events": LONG},
        ),
    ]


def _run_tables() -> list[Table]:
    runs: Columns = (
        {"run_id": STRING, "state": STRING, "job": STRING, "data_date": DATE, "model": STRING}
        | {"fingerprint": STRING, "code_hash": STRING, "config_hash": STRING, "inputs": STRINGS}
        | {"code_revision": STRING, "recorded_at": TIME, "seconds": DOUBLE, "rows": STRING}
        | {"versions_read": STRING, "versions_written": STRING, "message": STRING}
    )
    return [
        Table(
            "quality_results",
            ("run_id", "data_date", "table", "rule"),
            {"run_id": STRING, "data_date": DATE, "table": STRING, "rule": STRING, "outcome": STRING}
            | {"observed": STRING, "threshold": STRING, "severity": STRING, "failing_rows": LONG},
            not_content=("run_id",),
        ),
        Table(
            "runs",
            ("run_id", "state", "data_date"),
            runs,
            not_content=tuple(runs),  # describes runs only
        ),
        Table(
            "recipes",
            ("hash",),
            {"hash": STRING, "kind": STRING, "entries": STRINGS},
            partition=(),
            not_content=("hash", "kind", "entries"),
        ),
        Table(
            "code_equivalences",
            ("job", "code_hash"),
            {"job": STRING, "code_hash": STRING, "equal_to": STRING, "data_dates": STRINGS}
            | {"run_id": STRING},
            partition=(),
            not_content=("job", "code_hash", "equal_to", "data_dates", "run_id"),
        ),
    ]
