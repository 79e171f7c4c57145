"""Features for rows of one's own: a spine is joined with the feature tables, and nothing is written."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.columns import feature_columns, group_side
from core.config_model import ENTITIES, EntityName
from core.errors import ConfigError, LamplighterError
from core.schema import Config
from features.spine import DATE_COLUMN, EntityTables, missing_keys, to_received, to_spine, with_features
from jobs.runtime.arguments import span_of
from jobs.runtime.group_tables import keyed_groups
from jobs.runtime.lacking import require_filled_in
from jobs.runtime.project import Project

COHORT = "cohort"


class Joined(NamedTuple):
    """A spine with features.

    Attributes:
        frame: the rows of the spine as they came, then the features.
        rows: of the spine.
        missing: group -> rows whose key is not known as of the day before, or is null; a key of a further
            group is known by its events. Crosses are left out.
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
    returned is a join of the spine with tables of the days before its dates, two of users and items each, one
    of each further group.

    Args:
        project: whose tables.
        spine: rows with the keys of the groups (user_id, item_id, or the context column that is a group's
            key), and data_date or event_time; other columns are kept as they are.
        features: GROUP.COLUMN each, such as user.user_click_count_7d or item.cohort.

    Raises:
        ConfigError: no such feature, a key or a date is missing, a feature has the name of a column of the
            spine, or features of some of its dates are not built.
        LamplighterError: rows have no readable date.
    """
    config = project.config
    wanted = wanted_features(config, features)
    groups = [group for group in config.features.groups if group in {each.group for each in wanted}]
    columns = [each.column for each in wanted]
    _require_free(spine.columns, columns)

    keys = {key: config.source.events.columns[key].type for key in _keys(config, groups)}
    rows = to_spine(spine, keys, config.source.time_zone)
    before = sorted(day - timedelta(days=1) for day in _dates(rows))
    # The attributes that are keys of further groups are in the features of users and items.
    sides = {group_side(config, group) for group in groups}
    entities = [each for each in ENTITIES if each in sides or (each == "item" and "pair" in sides)]
    _require_built(project, entities, before)
    for group in groups:
        of_group = {*columns} & {*project.catalog[f"{group}_features"].columns}
        require_filled_in(project.store, f"{group}_features", of_group, before, "the spine")

    def as_of(table: str) -> DataFrame:
        return project.store.read(project.spark, table).where(F.col(DATE_COLUMN).isin(before))

    tables = [EntityTables(each, as_of(f"{each}_features"), as_of(f"{each}_cohorts")) for each in entities]
    further = {group: config.features.keyed[group] for group in groups if group not in ENTITIES}
    joined = with_features(rows, tables, config, keyed_groups(as_of, further))
    known = [group for group in groups if not config.features.groups[group].is_cross]
    counted = joined.agg(
        F.count(F.lit(1)).alias("rows"), *(missing_keys(group).alias(group) for group in known)
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
    known = [*feature_columns(groups[group], group), *([COHORT] if group in ENTITIES else [])]
    if column not in known:
        raise ConfigError(f"{name}: {group} has no feature {column!r}; it has {', '.join(known)}")
    return Wanted(group, f"{group}_{COHORT}" if column == COHORT else column)


def _keys(config: Config, groups: Sequence[str]) -> list[str]:
    """Return the columns that a spine needs beside its date: ids, and context columns that are keys."""
    keys = {
        "user": ["user_id"],
        "item": ["item_id"],
        "pair": ["item_id", "user_id"],
    }
    named = [
        name
        for group in groups
        for name in keys.get(group_side(config, group), [str(config.features.groups[group].key_column)])
    ]
    return list(dict.fromkeys(named))


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


def _require_built(project: Project, entities: Sequence[EntityName], before: Sequence[date]) -> None:
    tables = [f"{entity}_{kind}" for entity in entities for kind in ("features", "cohorts")]
    # A further group may have no row as of a date; the features of users are committed after those of all.
    tables = tables or ["user_features"]
    built = {table: set(project.store.data_dates(table)) for table in tables}
    for table in tables:
        absent = [day for day in before if day not in built[table]]
        if absent:
            shown = ", ".join(map(str, absent[:5])) + (f" and {len(absent) - 5} more" if absent[5:] else "")
            raise ConfigError(
                f"{table}: no rows as of {shown}, the days before dates of the spine; run `lamplighter "
                f"history --data-date {span_of(absent[0], absent[-1])}` where the log has these dates, or "
                "leave the rows out"
            )
