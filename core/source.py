"""The typed schema of what a data set's source delivers: events, users, items, and what users do."""

import re
from datetime import date
from typing import Annotated, Literal, Self
from zoneinfo import available_timezones

from pydantic import Field, field_validator, model_validator

from core.config_model import ConfigModel, EntityName, Name, Share, SqlType
from core.dated_path import DatedPath
from core.paths import SourcePath, StoragePath

TimeUnit = Literal["s", "ms", "us"]
DurationUnit = Literal["ms", "s", "min", "h"]
FileFormat = Literal["parquet", "csv", "json", "orc", "delta", "table"]
IN_TABLES = ("delta", "table")
"""Formats of Delta tables: named by a path, or by a name in the session's catalog."""


def _time_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"{name!r} is no time zone; name one as Asia/Shanghai is")
    return name


def require_order(terms: tuple[str, ...]) -> tuple[str, ...]:
    """Return ORDER BY terms as they are; refuse what is not a column with or without a direction."""
    for term in terms:
        if re.fullmatch(r"[a-z][a-z0-9_]*(\s+(asc|desc))?", term, re.IGNORECASE) is None:
            raise ValueError(
                f"{term!r} is no order; write a column of events and ASC or DESC, such as tab ASC"
            )
    return terms


ID_TYPES = ("string", "int", "bigint")


class Mapping(ConfigModel):
    """One column of ours as an expression over the source's columns.

    The value is cast with try_cast: what cannot be read becomes null and meets the suite.
    """

    expr: str = Field(alias="from")
    type: SqlType
    unit: TimeUnit | None = None  # of a timestamp that is a number since 1970-01-01 UTC
    zone: str | None = None  # of a timestamp that is text without a zone; default: UTC

    @model_validator(mode="after")
    def _unit_and_zone_are_of_times(self) -> Self:
        if (self.unit or self.zone) and self.type != "timestamp":
            raise ValueError(f"unit and zone are for timestamps, and this column is {self.type}")
        if self.unit and self.zone:
            raise ValueError("a number since 1970 (unit) has no zone; set one of them")
        if self.zone is not None:
            _time_zone(self.zone)
        return self


class Day(Mapping):
    """A date, or a time whose date in `source.time_zone` counts."""

    @model_validator(mode="after")
    def _is_a_day(self) -> Self:
        if self.type not in ("date", "timestamp"):
            raise ValueError(f"type is {self.type}; expected date or timestamp")
        return self


class FileSource(ConfigModel):
    """Files of one kind, as somebody delivers them.

    A path is a file, a folder or a glob, absolute or under `source.root`; of format `table` it is the name of
    a Delta table in the session's catalog.
    """

    path: SourcePath
    format: FileFormat = "parquet"
    options: dict[str, str | int | bool] = Field(default_factory=dict)  # of Spark's reader
    nulls: tuple[str, ...] = ()  # texts that mean null, such as NA
    version: Annotated[int, Field(ge=0)] | None = None  # of a Delta table; default: the newest

    @model_validator(mode="after")
    def _version_is_of_a_delta_table(self) -> Self:
        if self.version is not None and self.format not in IN_TABLES:
            raise ValueError(f"version is for Delta tables, and the format is {self.format}")
        if self.format == "table" and re.fullmatch(r"\w+(\.\w+){0,2}", self.path) is None:
            raise ValueError(f"path {self.path!r}: expected the name of a table, as in database.table")
        return self

    @property
    def day_column(self) -> str | None:
        """The column of a table that holds a row's date, where one does."""
        return None


class LogSource(FileSource):
    """A log: files of each data date, or one Delta table with a column for the date."""

    date_column: str | None = None  # of a Delta table, which then holds all data dates
    date_names: dict[Annotated[str, Field(pattern=r"^[\w.-]+$")], date] = Field(default_factory=dict)
    """Of a log without dates: what stands for each declared date in the path."""

    @property
    def dated(self) -> DatedPath:
        """The path with its date."""
        return DatedPath(self.path, names={day: name for name, day in self.date_names.items()})

    @property
    def day_column(self) -> str | None:
        """The column of a table that holds a row's date."""
        return self.date_column

    @model_validator(mode="after")
    def _has_a_date(self) -> Self:
        if self.format in IN_TABLES:
            if self.date_column is None:
                raise ValueError("date_column is missing: the column of the Delta table that holds the date")
            return self
        if self.date_column is not None:
            raise ValueError(f"date_column is for Delta tables, and the format is {self.format}")
        self.dated.check()
        return self


class EventSource(LogSource):
    """The log of impressions."""

    columns: dict[Name, Mapping]
    """user_id, item_id, event_time and the context columns. Without event_time, events are of the midnight
    with which their file's date begins."""
    event_id: Annotated[tuple[str, ...], Field(min_length=1)]  # source columns that make an event
    keep: tuple[str, ...]  # ORDER BY terms over our columns: of conflicting rows the first stays
    lateness_days: Annotated[int, Field(ge=0, le=36_525)]
    max_failing_share: Share = 0.05  # of a date's rows that may fail a rule and go to quarantine

    @field_validator("keep")
    @classmethod
    def _is_an_order(cls, terms: tuple[str, ...]) -> tuple[str, ...]:
        return require_order(terms)

    @model_validator(mode="after")
    def _holds_what_an_event_needs(self) -> Self:
        missing = sorted({"user_id", "item_id"} - set(self.columns))
        if missing:
            raise ValueError(f"event columns {missing} are missing; every event has a user and an item")
        time = self.columns.get("event_time")
        if time is not None and time.type != "timestamp":
            raise ValueError(f"columns.event_time is of type {time.type}; expected timestamp")
        if len(set(self.date_names.values())) < len(self.date_names):
            raise ValueError("date_names: two names are of the same date; expected one date each")
        for name in ("user_id", "item_id"):
            if (found := self.columns[name].type) not in ID_TYPES:
                raise ValueError(f"columns.{name} is of type {found}; expected one of {list(ID_TYPES)}")
        return self


class ActionSource(LogSource):
    """Actions that arrive in a log of their own, such as purchases.

    An action belongs to the latest impression with the same values of `join` that is at most `horizon_hours`
    before it and came in no later file.
    """

    action_id: Annotated[tuple[str, ...], Field(min_length=1)]  # source columns; what comes again counts once
    action_time: Mapping
    join: Annotated[dict[Name, str], Field(min_length=1)]  # column of events -> expression over the action's
    horizon_hours: Annotated[int, Field(ge=1, le=8784)]

    @model_validator(mode="after")
    def _has_a_time(self) -> Self:
        if self.action_time.type != "timestamp":
            raise ValueError(f"action_time is of type {self.action_time.type}; expected timestamp")
        return self

    @property
    def horizon_days(self) -> int:
        """How many dates before its own the impression of an action may be."""
        return -(-self.horizon_hours // 24)


class AttributeSource(FileSource):
    """Attributes of users or items: one undated snapshot, a full snapshot per date, or changes."""

    key: str
    snapshot_date: Literal["undated", "path"] | Day | None = None
    """`undated`: one snapshot, valid always. `path`: the path holds the date of each full snapshot. An
    expression over the source's columns: each row says of which snapshot it is."""
    changed_at: Day | None = None  # when a row's values began; instead of snapshot_date
    valid_from: Day | None = None  # of an undated snapshot: since when a row is known; default: always
    columns: dict[Name, Mapping]

    @property
    def dated(self) -> DatedPath | None:
        """The path with its date, where it has one."""
        return DatedPath(self.path) if self.snapshot_date == "path" or "{" in self.path else None

    @property
    def day_column(self) -> str | None:
        """The column of a table that holds the date of a row's snapshot."""
        day = self.snapshot_date
        is_column = isinstance(day, Mapping) and day.type == "date" and re.fullmatch(r"\w+", day.expr)
        return day.expr if isinstance(day, Mapping) and is_column and self.format in IN_TABLES else None

    @model_validator(mode="after")
    def _says_once_what_is_valid_when(self) -> Self:
        if (self.snapshot_date is None) == (self.changed_at is None):
            raise ValueError(
                "expected snapshot_date (undated, path, or an expression) or changed_at (an expression)"
            )
        if self.valid_from is not None and self.snapshot_date != "undated":
            raise ValueError("valid_from is for `snapshot_date: undated`; else dates follow from the source")
        if self.dated is not None:
            self.dated.check()
            if self.format in IN_TABLES:
                raise ValueError(
                    f"path {self.path!r}: a Delta table holds all dates; set snapshot_date to a column"
                )
            if self.snapshot_date != "path" and self.changed_at is None:
                raise ValueError(f"path {self.path!r} holds a date; set `snapshot_date: path`")
        return self


class Source(ConfigModel):
    """Where raw data comes from. Without users (or items), they are those that events name."""

    root: StoragePath
    time_zone: str
    events: EventSource
    actions: dict[Name, ActionSource] = Field(default_factory=dict)
    users: AttributeSource | None = None
    items: AttributeSource | None = None

    @field_validator("time_zone")
    @classmethod
    def _is_a_time_zone(cls, name: str) -> str:
        return _time_zone(name)

    @model_validator(mode="after")
    def _actions_reach_their_impressions(self) -> Self:
        for name, action in self.actions.items():
            if action.horizon_days > self.events.lateness_days:
                raise ValueError(
                    f"actions.{name}: up to {action.horizon_hours} hours after it, an impression may change, "
                    f"{action.horizon_days} dates late; set events.lateness_days to that or more"
                )
            columns = set(self.events.columns) - {"event_time"}
            if unknown := sorted(set(action.join) - columns):
                raise ValueError(
                    f"actions.{name}.join: {unknown} are no columns that an impression is found by; expected "
                    f"some of {sorted(columns)}"
                )
        return self

    def of(self, entity: EntityName) -> AttributeSource | None:
        """Return the source of an entity's attributes."""
        return self.users if entity == "user" else self.items

    def attributes(self, entity: EntityName) -> dict[str, Mapping]:
        """Return the declared attributes of an entity."""
        source = self.of(entity)
        return {} if source is None else source.columns


class Behaviour(ConfigModel):
    """What a user did with an impression, a column of `events`.

    binary: 0 or 1, stored as tinyint. seconds: a duration, stored as decimal(12,3). number: a rating or a
    price within `range`, stored with `decimals` digits after the point. Sums of all three are exact.

    From a log of actions, it is what all actions of the impression say: binary whether one is 1, else
    the sum; 0 without an action. A value of null says nothing.
    """

    expr: str = Field(alias="from")
    action: Name | None = None  # the log of actions that `from` reads; default: the log of impressions
    kind: Literal["binary", "seconds", "number"]
    unit: DurationUnit = "s"  # of the source's seconds
    range: tuple[float, float] | None = None
    decimals: Annotated[int, Field(ge=0, le=6)] = 3

    @model_validator(mode="after")
    def _range_is_of_a_number(self) -> Self:
        if (self.range is not None) != (self.kind == "number"):
            raise ValueError("range: [lowest, highest] goes with kind number, and only with it")
        if self.range is not None and self.range[0] >= self.range[1]:
            raise ValueError(f"range {list(self.range)}: expected the lowest value first")
        if self.unit != "s" and self.kind != "seconds":
            raise ValueError(f"unit is for kind seconds, and this behaviour is {self.kind}")
        return self

    @property
    def bounds(self) -> tuple[float, float | None]:
        """Lowest and highest value; None: no highest."""
        return (0, 1) if self.kind == "binary" else self.range or (0, None)

    @property
    def data_type(self) -> str:
        """Type of its column in `events`, as in DDL."""
        return "tinyint" if self.kind == "binary" else f"decimal(12,{self._digits})"

    @property
    def sum_type(self) -> str:
        """Type of its sums: a bigint, or a decimal with room for ten thousand million events."""
        return "bigint" if self.kind == "binary" else f"decimal(22,{self._digits})"

    @property
    def square_type(self) -> str:
        """Type of sums of squares, with as much room."""
        return "bigint" if self.kind == "binary" else f"decimal(34,{2 * self._digits})"

    @property
    def _digits(self) -> int:
        return self.decimals if self.kind == "number" else 3
