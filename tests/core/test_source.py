"""What the declaration of a source checks about itself."""

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from core.source import AttributeSource, Behaviour, EventSource, Mapping

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
        ({"format": "xlsx"}, "Input should be 'parquet', 'csv', 'json', 'orc' or 'delta'"),
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


def test_attributes_are_of_an_undated_snapshot() -> None:
    users = {"path": "users.parquet", "key": "u", "columns": {}}

    assert AttributeSource.model_validate(users | {"snapshot_date": "undated"}).key == "u"
    with pytest.raises(ValidationError, match="Input should be 'undated'"):
        AttributeSource.model_validate(users | {"snapshot_date": "2022-05-07"})
