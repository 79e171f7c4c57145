"""What the declaration of a source checks about itself."""

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from core.source import AttributeSource, Behaviour, EventSource, Mapping, Source

EVENTS: dict[str, Any] = {
    "path": "log/{data_date}.parquet",
    "columns": {
        "user_id": {"from": "u", "type": "string"},
        "item_id": {"from": "i", "type": "bigint"},
        "event_time": {"from": "t", "type": "timestamp", "unit": "ms"},
    },
    "event_id": ["u", "i", "t"],
    "keep": ["event_time DESC", "item_id"],
    "lateness_days": 1,
}


def without(name: str) -> dict[str, Any]:
    """Return the columns of events but one."""
    return {"columns": {key: value for key, value in EVENTS["columns"].items() if key != name}}


def typed(name: str, kind: str) -> dict[str, Any]:
    """Return the columns of events, one of another type."""
    return {"columns": EVENTS["columns"] | {name: {"from": "x", "type": kind}}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "log.parquet"}, "path 'log.parquet' must hold a whole date: {data_date}"),
        ({"path": "log/{data_date:%Y%m}.parquet"}, "must hold a whole date"),
        ({"path": "log/{data_date:%H}.parquet"}, "%H is no part of a date"),
        ({"path": "log/{day}.parquet"}, "{day} is unknown; expected {data_date}"),
        ({"path": "gs://b/{data_date}"}, "scheme gs is not supported for source files"),
        ({"format": "delta"}, "date_column is missing"),
        ({"date_column": "day"}, "date_column is for Delta tables, and the format is parquet"),
        ({"version": 3}, "version is for Delta tables, and the format is parquet"),
        ({"format": "xlsx"}, "Input should be 'parquet', 'csv', 'json', 'orc', 'delta' or 'table'"),
        (
            without("item_id"),
            "event columns ['item_id'] are missing; every event has a user and an item",
        ),
        (
            {"date_names": {"a": "2024-01-01", "b": "2024-01-01"}},
            "date_names: two names are of the same date",
        ),
        ({"date_names": {"a/b": "2024-01-01"}}, "String should match pattern"),
        (typed("event_time", "date"), "columns.event_time is of type date; expected timestamp"),
        (typed("item_id", "boolean"), "columns.item_id is of type boolean; expected one of ['string', 'int'"),
        ({"event_id": []}, "at least 1 item"),
        ({"keep": ["t DESC NULLS FIRST"]}, "'t DESC NULLS FIRST' is no order"),
        ({"lateness_days": -1}, "greater than or equal to 0"),
        ({"max_failing_share": 1.5}, "less than or equal to 1"),
    ],
)
def test_a_log_that_cannot_be_read_is_refused(change: dict[str, Any], message: str) -> None:
    assert EventSource.model_validate(EVENTS).dated.text == EVENTS["path"]

    with pytest.raises(ValidationError) as error:
        EventSource.model_validate(EVENTS | change)

    assert message in str(error.value)


def test_a_log_without_times_has_declared_dates() -> None:
    names = {"train": "1995-01-01", "test": "1995-01-02"}

    log = EventSource.model_validate(EVENTS | without("event_time") | {"keep": [], "date_names": names})

    assert log.dated.of(date(1995, 1, 2)) == "log/test.parquet"


def test_a_delta_table_holds_all_dates_under_one_path() -> None:
    table = EVENTS | {"path": "log", "format": "delta", "date_column": "day", "version": 0}

    assert EventSource.model_validate(table).date_column == "day"


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"type": "int", "unit": "ms"}, "unit and zone are for timestamps, and this column is int"),
        ({"type": "date", "zone": "UTC"}, "unit and zone are for timestamps, and this column is date"),
        ({"type": "timestamp", "unit": "ms", "zone": "UTC"}, "a number since 1970 (unit) has no zone"),
        ({"type": "timestamp", "zone": "Berlin"}, "'Berlin' is no time zone"),
        ({"type": "timestamp", "unit": "ns"}, "Input should be 's', 'ms' or 'us'"),
        ({"type": "varchar"}, "String should match pattern"),
        ({"type": "decimal(39,2)"}, "String should match pattern"),
    ],
)
def test_a_column_of_a_wrong_type_is_refused(column: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        Mapping.model_validate({"from": "x"} | column)

    assert message in str(error.value)


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ({"kind": "number"}, "range: [lowest, highest] goes with kind number, and only with it"),
        ({"kind": "binary", "range": [0, 1]}, "range: [lowest, highest] goes with kind number"),
        ({"kind": "number", "range": [5, 1]}, "range [5.0, 1.0]: expected the lowest value first"),
        ({"kind": "binary", "unit": "ms"}, "unit is for kind seconds, and this behaviour is binary"),
    ],
)
def test_options_of_another_kind_of_behaviour_are_refused(behaviour: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        Behaviour.model_validate({"from": "x"} | behaviour)

    assert message in str(error.value)


@pytest.mark.parametrize(
    ("behaviour", "bounds", "types"),
    [
        ({"kind": "binary"}, (0, 1), ("tinyint", "bigint")),
        ({"kind": "seconds", "unit": "min"}, (0, None), ("decimal(12,3)", "decimal(22,3)")),
        ({"kind": "number", "range": [1, 5], "decimals": 1}, (1, 5), ("decimal(12,1)", "decimal(22,1)")),
    ],
)
def test_a_behaviour_has_bounds_and_types_of_its_kind(
    behaviour: dict[str, Any], bounds: tuple[float, float | None], types: tuple[str, str]
) -> None:
    made = Behaviour.model_validate({"from": "x"} | behaviour)

    assert made.bounds == bounds
    assert (made.data_type, made.sum_type) == types


USERS = {"path": "users.csv", "format": "csv", "key": "u", "columns": {}}
DAY = {"from": "d", "type": "date"}


@pytest.mark.parametrize(
    "change",
    [
        {"snapshot_date": "undated"},
        {"snapshot_date": "undated", "valid_from": {"from": "t", "type": "timestamp", "unit": "ms"}},
        {"snapshot_date": "path", "path": "users/{data_date:%Y%j}.csv"},
        {"snapshot_date": DAY},
        {"changed_at": DAY},
        {"changed_at": DAY, "path": "changes/{data_date}"},
        {"snapshot_date": DAY, "format": "table", "path": "shop.users", "version": 3},
    ],
)
def test_attributes_are_undated_or_snapshots_or_changes(change: dict[str, Any]) -> None:
    source = AttributeSource.model_validate(USERS | change)

    assert (source.dated is not None) == ("{" in source.path)
    assert source.day_column == ("d" if source.format == "table" else None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "expected snapshot_date (undated, path, or an expression) or changed_at"),
        ({"snapshot_date": "undated", "changed_at": DAY}, "expected snapshot_date"),
        ({"snapshot_date": "2022-05-07"}, "Input should be 'undated' or 'path'"),
        ({"snapshot_date": "path"}, "path 'users.csv' must hold a whole date"),
        ({"snapshot_date": "undated", "path": "{data_date}.csv"}, "set `snapshot_date: path`"),
        ({"snapshot_date": DAY | {"type": "int"}}, "type is int; expected date or timestamp"),
        ({"changed_at": DAY, "valid_from": DAY}, "valid_from is for `snapshot_date: undated`"),
        (
            {"changed_at": DAY, "format": "delta", "path": "u/{data_date}"},
            "a Delta table holds all dates; set snapshot_date to a column",
        ),
        (
            {"snapshot_date": "undated", "format": "table"} | {"path": "a.b.c.d"},
            "path 'a.b.c.d': expected the name of a table",
        ),
    ],
)
def test_attributes_that_nobody_can_date_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        AttributeSource.model_validate(USERS | change)

    assert message in str(error.value)


ORDERS: dict[str, Any] = {
    "path": "orders/{data_date}",
    "action_id": ["no"],
    "action_time": {"from": "at", "type": "timestamp"},
    "join": {"user_id": "who"},
    "horizon_hours": 24,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, None),
        ({"path": "orders.csv"}, "must hold a whole date"),
        ({"action_time": {"from": "at", "type": "date"}}, "action_time is of type date; expected timestamp"),
        ({"join": {}}, "at least 1 item"),
        (
            {"join": {"shop": "s"}},
            "actions.order.join: ['shop'] are no columns that an impression is found by",
        ),
        ({"join": {"event_time": "at"}}, "actions.order.join: ['event_time'] are no columns"),
        (
            {"horizon_hours": 25},
            "actions.order: up to 25 hours after it, an impression may change, 2 dates late; set "
            "events.lateness_days to that or more",
        ),
    ],
)
def test_actions_reach_their_impressions_within_the_lateness(
    change: dict[str, Any], message: str | None
) -> None:
    source = {"root": "data", "time_zone": "UTC", "events": EVENTS, "actions": {"order": ORDERS | change}}
    if message is None:
        assert Source.model_validate(source).actions["order"].horizon_days == 1
        return
    with pytest.raises(ValidationError) as error:
        Source.model_validate(source)

    assert message in str(error.value)
