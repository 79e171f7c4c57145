"""Reading a declared column out of a file's columns: what cannot be read becomes null."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from core.source import Behaviour, Day, Mapping
from features.expressions import readable

INTEGERS = frozenset({"tinyint", "smallint", "int", "bigint"})
CALENDAR = {  # years 1 to 9999, as readers outside of Spark have them
    "date": ("0001-01-01", "9999-12-31"),
    "timestamp": ("0001-01-01 00:00:00", "9999-12-31 00:00:00"),
}


MICROS = {"s": 1_000_000, "ms": 1_000, "us": 1}
SECONDS = {"ms": "/ 1000", "min": "* 60", "h": "* 3600"}
WITH_ZONE = r"([Zz]|[+-]\d\d:?\d\d)\s*$"


def read_mapping(mapping: Mapping, rows: DataFrame) -> Column:
    """Return a declared column as its type; null where it is no such value.

    A timestamp may be a number since 1970 (`unit`), or text: with a zone, or in the declared `zone`, else
    UTC. A local time that the clocks skip is moved by the gap, of one that they repeat the earlier is taken.

    Args:
        mapping: expression, type, and how a time is written.
        rows: the rows that it reads.
    """
    if mapping.unit is not None:
        micros = f"try_cast(({mapping.expr}) AS decimal(24,6)) * {MICROS[mapping.unit]}"
        return read_as(f"timestamp_micros(try_cast({micros} AS bigint))", mapping.type, rows)
    time = read_as(mapping.expr, mapping.type, rows)
    if mapping.zone is None:
        return time
    value = readable(mapping.expr, rows)
    is_text = isinstance(rows.select(value.alias("value")).schema["value"].dataType, T.StringType)
    has_zone = F.coalesce(value.rlike(WITH_ZONE), F.lit(False)) if is_text else F.lit(False)
    return F.when(has_zone, time).otherwise(F.to_utc_timestamp(time, mapping.zone))


def read_day(day: Day, rows: DataFrame, time_zone: str) -> Column:
    """Return a declared day as a date: of a time its date in a time zone; null where it is no such value."""
    value = read_mapping(day, rows)
    return value if day.type == "date" else F.to_date(F.from_utc_timestamp(value, time_zone))


def read_behaviour(behaviour: Behaviour, rows: DataFrame) -> Column:
    """Return a behaviour as its type, durations in seconds; null where it is no such value."""
    if behaviour.unit == "s":
        return read_as(behaviour.expr, behaviour.data_type, rows)
    seconds = f"try_cast(({behaviour.expr}) AS decimal(18,6)) {SECONDS[behaviour.unit]}"
    return read_as(seconds, behaviour.data_type, rows)


def read_as(expression: str, data_type: str, rows: DataFrame) -> Column:
    """Return an expression over source columns as one of our types; null where it is no such value.

    A fraction is no integer: 0.5 read as int is null, not 0, so that a suite sees it. A time outside of
    the years 1 to 9999 is null.

    Args:
        expression: Spark SQL, checked when the configuration was loaded.
        data_type: a Spark type as in DDL, such as bigint.
        rows: the rows that it reads.
    """
    value = readable(expression, rows)
    read = value.try_cast(data_type)
    if data_type in CALENDAR:
        first, last = (F.lit(bound).cast(data_type) for bound in CALENDAR[data_type])
        return F.when(read.between(first, last), read)
    if data_type not in INTEGERS:
        return read
    is_whole = read.cast("double") == value.try_cast("double")
    return F.when(is_whole, read)


def read_id(expression: str, data_type: str, rows: DataFrame) -> Column:
    """Return an expression as an id: as `read_as`, and an empty string is null."""
    return F.nullif(read_as(expression, data_type, rows), F.lit("").try_cast(data_type))
