"""Checks on the SQL that a configuration holds, before Spark sees any of it.

Spark's `expr` on configuration text could read other tables by a subquery and the environment by
`reflect`, and a rule with `rand()` or `current_date()` would not return the same rows twice. So an
expression is parsed (sqlglot, Spark dialect) and everything in it must be on the lists below.
"""

from collections.abc import Iterable, Iterator
from zoneinfo import available_timezones

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from core.columns import (
    array_columns,
    context_columns,
    event_columns,
    feature_columns,
    input_sides,
    measured_columns,
)
from core.config_model import EntityName
from core.errors import ConfigError
from core.features import EXACT, FeatureGroup, Features
from core.lists import LikedAttribute, OwnFile
from core.schema import Config
from core.source import Mapping, Source

SAFE_NODES: tuple[type[exp.Expression], ...] = (
    *(exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Paren),
    *(exp.DataType, exp.DataTypeParam),
    *(exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.GT, exp.GTE, exp.LT, exp.LTE),
    *(exp.Between, exp.In, exp.Is, exp.Like, exp.Case, exp.If, exp.Coalesce, exp.Nullif),
    *(exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg, exp.Abs, exp.Floor, exp.Ceil, exp.Round),
    *(exp.Greatest, exp.Least, exp.Cast, exp.TryCast, exp.Bracket, exp.Split, exp.RegexpSplit),
    *(exp.Lower, exp.Upper, exp.Trim, exp.Length, exp.Substring, exp.Concat, exp.Replace),
    *(exp.Hour, exp.DayOfWeek, exp.AtTimeZone, exp.UnixToTime, exp.StrToTime, exp.TsOrDsToDate),
)
CONSTANTS: tuple[tuple[type[exp.Expr], str, str], ...] = (
    (exp.RegexpSplit, "expression", "pattern"),
    (exp.Like, "expression", "pattern"),
    (exp.AtTimeZone, "zone", "time zone"),
    (exp.StrToTime, "format", "format"),
    (exp.TsOrDsToDate, "format", "format"),
)
RESERVED = frozenset(  # columns of events and examples that no configuration declares
    {"event_id", "user_id", "item_id", "event_time", "data_date", "user_cohort", "item_cohort", "weight"}
    | {"source_row_id", "source_path", "raw_row", "file_date", "event_date", "days_late", "failed_rules"}
    | {"row_status", "readmissions"}
)
ENTITIES: tuple[EntityName, ...] = ("user", "item")
SAFE_FUNCTIONS = {"timestamp_millis", "timestamp_seconds", "timestamp_micros", "from_utc_timestamp"}

FUNCTIONS = (
    *("abs", "ceil", "coalesce", "concat", "dayofweek", "floor", "from_utc_timestamp", "greatest", "hour"),
    *("if", "least", "length", "lower", "nullif", "replace", "round", "split", "substring"),
    *("timestamp_micros", "timestamp_millis", "timestamp_seconds", "to_date", "to_timestamp", "trim"),
    *("try_cast", "upper"),
)
"""Names of what SAFE_NODES and SAFE_FUNCTIONS allow, for people."""


def columns_of(text: str, where: str) -> set[str]:
    """Return the columns that one expression reads.

    Args:
        text: a Spark SQL expression.
        where: its configuration key, for the message.

    Raises:
        ConfigError: it does not parse, or holds something that is not on the lists.
    """
    try:
        tree = sqlglot.parse_one(text, dialect="spark")
    except SqlglotError as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{where}: {text!r} is no Spark SQL expression: {reason}") from error
    columns = set()
    for node in tree.walk():
        known = isinstance(node, SAFE_NODES) or (
            isinstance(node, exp.Anonymous) and node.name.lower() in SAFE_FUNCTIONS
        )
        if not known:
            name = node.name if isinstance(node, exp.Anonymous) else type(node).__name__
            raise ConfigError(
                f"{where}: {name} is not allowed in {text!r}; allowed are comparisons, arithmetic, AND, OR, "
                f"NOT, IN, BETWEEN, LIKE, IS NULL, CASE, CAST, x[i] and {', '.join(FUNCTIONS)} (no subquery, "
                "no reflection, nothing that changes from run to run)"
            )
        if isinstance(node, exp.Column):
            if node.table:
                raise ConfigError(f"{where}: {node.sql()} in {text!r} names a table; name the column alone")
            columns.add(node.name)
        _require_constants(node, text, where)
    return columns


def columns_without_cast(text: str) -> set[str]:
    """Return the columns that one checked expression reads as they are, and not through a CAST alone."""
    tree = sqlglot.parse_one(text, dialect="spark")
    return {node.name for node in tree.find_all(exp.Column) if not isinstance(node.parent, exp.Cast)}


def _require_constants(node: exp.Expr, text: str, where: str) -> None:
    """Refuse patterns, zones and formats that depend on a row, since a bad one could not be read as null."""
    for kind, argument, what in CONSTANTS:
        given = node.args.get(argument) if isinstance(node, kind) else None
        if given is not None and not (isinstance(given, exp.Literal) and given.is_string):
            raise ConfigError(f"{where}: the {what} in {text!r} must be a text constant, such as 'x'")
        if given is not None and argument == "format" and _format_of(node) not in text:
            raise ConfigError(
                f"{where}: the format in {text!r} is not known; write it with yyyy, MM, dd, HH, mm and ss"
            )
    zone = node.args.get("zone") if isinstance(node, exp.AtTimeZone) else None
    if zone is not None and zone.name not in available_timezones():
        raise ConfigError(f"{where}: {zone.name!r} in {text!r} is no time zone; name one as Asia/Shanghai is")
    index = node.expressions[0] if isinstance(node, exp.Bracket) and node.args.get("offset") else None
    if isinstance(index, exp.Literal) and index.name == "0":
        raise ConfigError(f"{where}: element_at in {text!r} counts from 1; write 1 for the first element")


def _format_of(node: exp.Expr) -> str:
    return str(sqlglot.Dialect.get_or_raise("spark").generator().format_time(node))


def _require(text: str, known: Iterable[str], where: str) -> None:
    unknown = sorted(columns_of(text, where) - set(known))
    if unknown:
        raise ConfigError(
            f"{where}: {text!r} reads undeclared columns {unknown}; declared are {sorted(known)}"
        )


def _require_columns(names: Iterable[str], known: Iterable[str], where: str) -> None:
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ConfigError(f"{where}: columns {unknown} are not declared; declared are {sorted(known)}")


def _source_expressions(config: Config) -> Iterator[tuple[str, str]]:
    source = config.source
    for name, column in source.events.columns.items():
        yield f"source.events.columns.{name}.from", column.expr
    for name, behaviour in config.behaviours.items():
        yield f"behaviours.{name}.from", behaviour.expr
    for name, action in source.actions.items():
        yield f"source.actions.{name}.action_time.from", action.action_time.expr
        for key, text in action.join.items():
            yield f"source.actions.{name}.join.{key}", text
    for derived, declared in config.derived.items():
        for name, behaviour in declared.columns.items():
            yield f"derived.{derived}.columns.{name}.from", behaviour.expr
    yield from _attribute_expressions(source)


def _attribute_expressions(source: Source) -> Iterator[tuple[str, str]]:
    for entity in ENTITIES:
        for name, column in source.attributes(entity).items():
            yield f"source.{entity}s.columns.{name}.from", column.expr
        for name in ("snapshot_date", "changed_at", "valid_from"):
            if isinstance(day := getattr(source.of(entity), name, None), Mapping):
                yield f"source.{entity}s.{name}.from", day.expr


def _check_names(config: Config) -> None:
    """Refuse a column that the configuration declares twice: an example holds them side by side."""
    owners = dict.fromkeys(RESERVED, "every data set")
    labels = [f"{kind}_{task.name}" for task in config.tasks for kind in ("label", "mask", "p")]
    for owner, names in (
        ("tasks", labels),
        ("source.events.columns", context_columns(config)),
        ("behaviours", config.behaviours),
        *((f"derived.{name}.columns", each.columns) for name, each in config.derived.items()),
        ("source.users.columns", config.source.attributes("user")),
        ("source.items.columns", config.source.attributes("item")),
        *(
            (f"features.{name}", _measured_columns(group, name))
            for name, group in config.features.groups.items()
        ),
    ):
        for name in names:
            if name in owners:
                raise ConfigError(
                    f"{owner}: column {name} is declared twice, by {owners[name]} as well; rename one of them"
                )
            owners[name] = owner


def _measured_columns(features: FeatureGroup, group: str) -> list[str]:
    return [name for name in feature_columns(features, group) if name not in features.attributes]


def _check_group(config: Config, group: str) -> None:
    """Check the key of a group, and what its aggregates read of events and of their users and items."""
    declared = config.features.groups[group]
    attributes = [*config.features.user.attributes, *config.features.item.attributes]
    if declared.key_column is not None:
        keys = [*attributes, *context_columns(config)]
        if declared.is_cross:
            keys = ["item_id", *config.features.item.attributes]
        _require_columns([declared.key_column], keys, f"features.{group}.key")
        if f"{group}_id" in {*keys, *event_columns(config)} - {declared.key_column}:
            raise ConfigError(
                f"features.{group}: {group}_id, the key of its tables, is a declared column that is not its "
                "`key`; rename the group"
            )
    exact = measured_columns(config)
    known = list(dict.fromkeys([*event_columns(config), *exact, *attributes]))
    for aggregate in declared.aggregates:
        where = f"features.{group}.aggregates.{aggregate.name}"
        if aggregate.of is not None:
            _require_columns([aggregate.of], known, f"{where}.of")
        if aggregate.agg in EXACT and aggregate.of not in exact:
            raise ConfigError(
                f"{where}.of: {aggregate.of} is no behaviour; {aggregate.agg} is exact only over behaviours: "
                f"{sorted(exact)}"
            )
        if aggregate.where is not None:
            _require(aggregate.where, known, f"{where}.where")


def attributes_read(features: Features, entity: EntityName) -> list[str]:
    """Return the attributes of users or items that keys and aggregates of groups read of an event."""
    read = {group.key_column for group in features.keyed.values()}
    for name, group in features.groups.items():
        for aggregate in group.aggregates:
            read.add(aggregate.of)
            if aggregate.where is not None:
                read |= columns_of(aggregate.where, f"features.{name}.aggregates.{aggregate.name}.where")
    return [name for name in features.groups[entity].attributes if name in read]


def _check_inputs(config: Config) -> None:
    """Check the columns that a model reads: declared, and several values only where it says so."""
    known = input_sides(config)
    categorical, dense = config.inputs.categorical, config.inputs.dense
    _require_columns((c.column for c in categorical), known, "inputs.categorical")
    _require_columns((d.column for d in dense), known, "inputs.dense")
    if pairs := [c.column for c in categorical if known[c.column] == "pair"]:
        raise ConfigError(
            f"inputs.categorical: {pairs} are of a cross, whose features are dense inputs only; declare them "
            "under inputs.dense, or leave them out"
        )
    arrays = {c for name, group in config.features.groups.items() for c in array_columns(group, name)}
    if several := sorted(arrays & {d.column for d in dense}):
        raise ConfigError(f"inputs.dense: {several} hold several values each; declare them as categorical")
    for each in categorical:
        if each.split is not None and each.column in arrays:
            raise ConfigError(f"inputs.categorical: {each.column} is an array; leave out `split`")
        if each.split is None and each.column not in arrays and each.max_values > 1:
            raise ConfigError(
                f"inputs.categorical: {each.column}: max_values is {each.max_values}, and split is missing; "
                "say how"
            )


def _check_lists(config: Config) -> None:
    """Check what lists read of items, and that models read nothing of items where a list has none."""
    attributes = config.features.item.attributes
    known = [*feature_columns(config.features.item, "item"), "item_id", "item_cohort"]
    for name, each in config.lists.items():
        where = f"lists.{name}"
        if each.where is not None:
            _require(each.where, known, f"{where}.where")
        _require_columns(each.at_most, attributes, f"{where}.at_most")
        for source in each.pool:
            if isinstance(source, LikedAttribute):
                _require_columns([source.attribute], attributes, f"{where}.pool.attribute")
            if isinstance(source, OwnFile):
                columns_of(source.item, f"{where}.pool.item")
        if not each.has_items:
            sides = input_sides(config)
            inputs = [
                *(c.column for c in config.inputs.categorical),
                *(d.column for d in config.inputs.dense),
            ]
            if read := [column for column in inputs if sides[column] in ("item", "pair")]:
                raise ConfigError(
                    f"{where}.ranking: none means a prediction without an item, but inputs read {read} of "
                    "items; leave these out, or rank items"
                )


def check_expressions(config: Config) -> None:
    """Check each expression, each column's name and each reference to a column of one configuration.

    Columns of source files are checked where the files are read (`ingest`).

    Raises:
        ConfigError: the first fault found, with its key.
    """
    _check_names(config)
    for where, text in _source_expressions(config):
        columns_of(text, where)
    events = event_columns(config)
    _require_columns((term.split()[0] for term in config.source.events.keep), events, "source.events.keep")
    _require_columns((term.split()[0] for term in config.examples.repeats), events, "examples.repeats")
    for task in config.tasks:
        _require(task.label, events, f"tasks.{task.name}.label")
        if task.where is not None:
            _require(task.where, events, f"tasks.{task.name}.where")

    for entity in ENTITIES:
        features = config.features.groups[entity]
        attributes = config.source.attributes(entity)
        _require_columns(features.attributes, attributes, f"features.{entity}.attributes")
        unprefixed = sorted(name for name in attributes if not name.startswith(f"{entity}_"))
        if unprefixed:
            raise ConfigError(f"source.{entity}s.columns: {unprefixed} must start with {entity}_")
        known = feature_columns(features, entity)
        for rule in getattr(config.cohorts, entity).rules:
            _require(rule.when, known, f"cohorts.{entity}.rules.{rule.name}.when")

    _require_columns(
        [config.baselines.group], ["item_id", *config.features.item.attributes], "baselines.group"
    )

    for group in config.features.groups:
        _check_group(config, group)
    _check_inputs(config)
    _check_lists(config)
