"""Features for rows of one's own: a spine is joined with the feature tables, and nothing is written."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.columns import feature_columns, group_side, state_columns
from core.config_model import ENTITIES, EntityName
from core.errors import ConfigError, LamplighterError
from core.schema import Config
from features.spine import DATE_COLUMN, EntityTables, missing_keys, to_received, to_spine, with_features
from jobs.runtime.arguments import span_of
from jobs.runtime.project import Project

COHORT = "cohort"


class Joined(NamedTuple):
    """A spine with features.

    Attributes:
        frame: the rows of the spine as they came, then the features.
        rows: of the spine.
        missing: group -> rows whose key is not known as of the day before, or is null.
    """

    frame: DataFrame
    rows: int
    missing: dict[str, int]


class Wanted(NamedTuple):
    """A feature that was asked for: its group, and its column in examples."""

    group: str
    column: str


def join_spine(project: Project, spine: DataFrame, features: Sequence[str]) -> Joined:
    """Join features as of the day before each row's date, exactly those that an example would get.

    Cost: the spine is evaluated twice, for its dates and for its keys that are not known; the frame that is
    returned is a join of the spine with dense tables of the days before its dates, two per user or item.

    Args:
        project: whose tables.
        spine: rows with user_id or item_id, or the context column that is a group's key, and data_date or
            event_time; other columns are kept as they are. A group whose key is an attribute of items (users)
            is found by item_id (user_id), by the value of the day before.
        features: GROUP.COLUMN each, such as user.user_click_count_7d or item.cohort.

    Raises:
        ConfigError: no such feature, a key or a date is missing, a feature has the name of a column of the
            spine, or features of some of its dates are not built.
        LamplighterError: rows have no readable date.
    """
    config = project.config
    wanted = wanted_features(config, features)
    columns = [each.column for each in wanted]
    _require_free(spine.columns, columns)
    asked = [group for group in config.features.groups if group in {each.group for each in wanted}]
    keyed = [group for group in asked if group in config.features.keyed]
    sides = {group_side(config, group) for group in asked}
    entities = [entity for entity in ENTITIES if entity in sides]

    rows = to_spine(spine, _keys(config, entities, keyed), config.source.time_zone)
    before = sorted(day - timedelta(days=1) for day in _dates(rows))
    tables = {name: _as_of(project, name, before) for name in _tables(config, entities, keyed)}
    of_entities = [EntityTables(e, tables[f"{e}_features"], tables[f"{e}_cohorts"]) for e in entities]
    of_groups = {group: _with_state(tables, group) for group in keyed}

    joined = with_features(rows, of_entities, config, of_groups)
    counted = joined.agg(
        F.count(F.lit(1)).alias("rows"), *(missing_keys(group).alias(group) for group in asked)
    )
    counts = next(iter(counted.collect())).asDict()
    return Joined(to_received(joined, columns), counts.pop("rows"), counts)


def wanted_features(config: Config, features: Sequence[str]) -> list[Wanted]:
    """Return the features that are named, each once, in their order.

    Raises:
        ConfigError: a name is not GROUP.COLUMN, or there is no such group or column.
    """
    if not features:
        raise ConfigError("no feature is named; expected GROUP.COLUMN, such as user.cohort")
    return list(dict.fromkeys(_wanted(config, name.strip()) for name in features))


def _wanted(config: Config, name: str) -> Wanted:
    group, _, column = name.partition(".")
    groups = config.features.groups
    if group not in groups:
        raise ConfigError(f"{name}: expected GROUP.COLUMN, where GROUP is one of {', '.join(groups)}")
    has_cohort = group in ENTITIES
    known = [*feature_columns(groups[group], group), *([COHORT] if has_cohort else [])]
    if column not in known:
        raise ConfigError(f"{name}: {group} has no feature {column!r}; it has {', '.join(known)}")
    return Wanted(group, f"{group}_{COHORT}" if has_cohort and column == COHORT else column)


def _require_free(received: Sequence[str], columns: Sequence[str]) -> None:
    names = [name.lower() for name in received]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"spine: columns {', '.join(twice)} are there twice; rename one of each")
    taken = [column for column in columns if column in names]
    if taken:
        raise ConfigError(
            f"spine: it has columns {', '.join(taken)} already, and features of these names are asked for; "
            "rename the columns, or leave the features out"
        )


def _keys(config: Config, entities: Sequence[EntityName], keyed: Sequence[str]) -> dict[str, str]:
    """Return the columns that the spine must have -> their type in `events`."""
    contexts = [str(config.features.groups[g].key) for g in keyed if group_side(config, g) == "context"]
    columns = config.source.events.columns
    return {key: columns[key].type for key in [*(f"{entity}_id" for entity in entities), *contexts]}


def _tables(config: Config, entities: Sequence[EntityName], keyed: Sequence[str]) -> list[str]:
    split = [group for group in keyed if config.features.groups[group].split is not None]
    return [
        *(f"{entity}_{kind}" for entity in entities for kind in ("features", "cohorts")),
        *(f"{group}_features" for group in keyed),
        *(f"{group}_state" for group in split if state_columns(config.features.groups[group], group)),
    ]


def _dates(rows: DataFrame) -> list[date]:
    """Return the data dates of a spine.

    Raises:
        LamplighterError: rows have none.
    """
    counts = {row[DATE_COLUMN]: row["count"] for row in rows.groupBy(DATE_COLUMN).count().collect()}
    if undated := counts.pop(None, 0):
        raise LamplighterError(
            f"spine: {undated:,} of {undated + sum(counts.values()):,} rows have no readable data_date (or "
            "event_time); expected 2022-05-07, or 2022-05-07T20:15:00+08:00; correct them or leave them out"
        )
    return list(counts)


def _as_of(project: Project, table: str, before: Sequence[date]) -> DataFrame:
    """Return the rows of a table as of some dates.

    Raises:
        ConfigError: it was not built as of one of them.
    """
    built = set(project.store.data_dates(table))
    if absent := [day for day in before if day not in built]:
        shown = ", ".join(map(str, absent[:5])) + (f" and {len(absent) - 5} more" if absent[5:] else "")
        raise ConfigError(
            f"{table}: no rows as of {shown}, the days before dates of the spine; run `lamplighter "
            f"history --data-date {span_of(absent[0], absent[-1])}` where the log has these dates, or "
            "leave the rows out"
        )
    return project.store.read(project.spark, table).where(F.col(DATE_COLUMN).isin(list(before)))


def _with_state(tables: Mapping[str, DataFrame], group: str) -> DataFrame:
    """Return the features of a group, beside them the state that lists of its keys are merged from."""
    features, state = tables[f"{group}_features"], tables.get(f"{group}_state")
    return features if state is None else features.join(state, on=[f"{group}_id", DATE_COLUMN], how="left")
