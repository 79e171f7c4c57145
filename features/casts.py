"""Reading a declared column out of a file's columns: what cannot be read becomes null."""

from pyspark.sql import Column
from pyspark.sql import functions as F

INTEGERS = frozenset({"tinyint", "smallint", "int", "bigint"})


def read_as(expression: str, data_type: str) -> Column:
    """An expression over source columns as one of our types; null where it is no such value.

    A fraction is no integer: 0.5 read as int is null, not 0, so that a suite sees it.

    Args:
        expression: Spark SQL, checked when the configuration was loaded.
        data_type: a Spark type as in DDL, such as bigint.
    """
    value = F.expr(expression)
    read = value.try_cast(data_type)
    if data_type not in INTEGERS:
        return read
    is_whole = read.cast("double") == value.try_cast("double")
    return F.when(is_whole, read)
