"""Reading a declared column out of a file's columns: what cannot be read becomes null."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.expressions import readable

INTEGERS = frozenset({"tinyint", "smallint", "int", "bigint"})
CALENDAR = {  # years 1 to 9999, as readers outside of Spark have them
    "date": ("0001-01-01", "9999-12-31"),
    "timestamp": ("0001-01-01 00:00:00", "9999-12-31 00:00:00"),
}


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
