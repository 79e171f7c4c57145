"""A spine: rows of one's own with keys and a date, which get features as examples get them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from core.config_model import ENTITIES, EntityName
from core.errors import ConfigError
from core.schema import Config
from features.casts import read_as, read_id
from features.events import IDS
from features.examples import NO_GROUPS, is_known_column, with_entity, with_groups_of

DATE_COLUMN, TIME_COLUMN = "data_date", "event_time"
RECEIVED = "_spine"
DATE_TEXT = r"^\d{4}-\d\d-\d\d$"
TIME_TEXT = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d"
"""Spark reads shorter texts, too: 2022 as a date, 12:30 as a time of the day on which the query runs."""


class EntityTables(NamedTuple):
    """What is joined of users or items: features and cohorts, as of the days before those of the spine."""

    entity: EntityName
    features: DataFrame
    cohorts: DataFrame


def to_spine(rows: DataFrame, keys: Mapping[str, str], time_zone: str) -> DataFrame:
    """Read keys and dates of a spine, and put its rows aside as they came.

    Grain: as the rows came; no row is left out. Columns: `_spine` (all columns received, as a struct), the
    keys, data_date. A key that cannot be read as its type is null, and so is a date.
    Data date: column data_date, or where there is none, the date of event_time in the data set's time zone.
    Cost: one narrow pass.

    Args:
        rows: the spine.
        keys: key column -> its type in `events`: ids, and context columns that are keys of groups.
        time_zone: of the data set.

    Raises:
        ConfigError: a key column or a date is missing, or is of a type that holds none.
    """
    missing = [key for key in keys if key not in rows.columns]
    if missing:
        raise ConfigError(
            f"spine: no column {', '.join(missing)}, the key of the features asked for; it has {rows.columns}"
        )
    return rows.select(
        F.struct("*").alias(RECEIVED),
        *(
            (read_id if key in IDS else read_as)(key, data_type, rows).alias(key)
            for key, data_type in keys.items()
        ),
        _data_date(rows, time_zone).alias(DATE_COLUMN),
    )


def with_features(
    spine: DataFrame,
    tables: Sequence[EntityTables],
    config: Config,
    groups: Mapping[str, DataFrame] = NO_GROUPS,
) -> DataFrame:
    """Add features and cohorts of users and items, and features of further groups, as of the day before.

    An unknown key, or none, gets what an unknown user or item of an example gets: the same functions serve
    both. The key of a further group is that of the row's user or item as of the day before, or the context
    of the row.

    Grain: as the spine's; every row stays. As of: data_date - 1.
    Cost: two joins per entity with dense tables of the spine's dates, and one with each further group.

    Args:
        spine: rows of `to_spine`.
        tables: of users and items, of those that are asked for or whose attributes are keys.
        config: its features and cohorts.
        groups: features of further groups as of the days before, as `with_group_features` takes them.
    """
    rows = with_groups_of(spine, groups, config, "context")
    for entity, features, cohorts in tables:
        rows = with_entity(rows, features, cohorts, config, entity, groups)
    return with_groups_of(rows, groups, config, "pair")


def to_received(joined: DataFrame, features: Sequence[str]) -> DataFrame:
    """Return the columns of the spine as they came, then the features asked for."""
    return joined.select(f"{RECEIVED}.*", *features)


def missing_keys(group: str) -> Column:
    """Return the number of rows whose key is not known as of the day before, or is null; an aggregate.

    A key of a group other than users and items is known by its events.
    """
    for entity in ENTITIES:
        if group == entity:
            return F.count_if(F.col(is_known_column(entity)).isNull())
    return F.count_if(F.col(f"{group}_is_never_seen"))


def _data_date(rows: DataFrame, time_zone: str) -> Column:
    if DATE_COLUMN in rows.columns:
        return _date(rows)
    if TIME_COLUMN in rows.columns:
        return F.to_date(F.from_utc_timestamp(_instant(rows), time_zone))
    raise ConfigError(
        f"spine: no column {DATE_COLUMN} and none {TIME_COLUMN}; expected one of them; it has {rows.columns}"
    )


def _date(rows: DataFrame) -> Column:
    """Return the column as a date; a time only where it is midnight, as pandas writes dates."""
    column = F.col(DATE_COLUMN)
    match rows.schema[DATE_COLUMN].dataType:
        case T.DateType():
            return column
        case T.StringType():
            return F.when(column.rlike(DATE_TEXT), column.try_cast("date"))
        case T.TimestampType() | T.TimestampNTZType():
            return F.when(column == F.date_trunc("day", column), F.to_date(column))
        case other:
            raise ConfigError(
                f"spine: {DATE_COLUMN} is of type {other.simpleString()}; expected a date, or text as "
                "2022-05-07"
            )


def _instant(rows: DataFrame) -> Column:
    """Return the column as an instant; what has no zone is UTC."""
    column = F.col(TIME_COLUMN)
    match rows.schema[TIME_COLUMN].dataType:
        case T.TimestampType():
            return column
        case T.TimestampNTZType():
            return column.cast("timestamp")
        case T.StringType():
            return F.when(column.rlike(TIME_TEXT), column.try_cast("timestamp"))
        case other:
            raise ConfigError(
                f"spine: {TIME_COLUMN} is of type {other.simpleString()}; expected a timestamp, or text as "
                "2022-05-07T20:15:00+08:00"
            )
