"""Arrow types of declared columns, for tables that are written and read without Spark."""

from collections.abc import Mapping

import pyarrow as pa
from pyspark.sql import types as T

from jobs.tables.table import Table

SCALARS: Mapping[type[T.DataType], pa.DataType] = {
    T.StringType: pa.string(),
    T.LongType: pa.int64(),
    T.IntegerType: pa.int32(),
    T.ByteType: pa.int8(),
    T.DoubleType: pa.float64(),
    T.BooleanType: pa.bool_(),
    T.DateType: pa.date32(),
    T.TimestampType: pa.timestamp("us", tz="UTC"),
    T.BinaryType: pa.binary(),
}


def arrow_schema(table: Table) -> pa.Schema:
    """Return the Arrow schema of a declared table."""
    return pa.schema([(name, arrow_type(kind)) for name, kind in table.columns.items()])


def arrow_type(kind: T.DataType) -> pa.DataType:
    """Return the Arrow type of a Spark type: a scalar, a decimal, or an array or struct of these."""
    if isinstance(kind, T.DecimalType):
        return pa.decimal128(kind.precision, kind.scale)
    if isinstance(kind, T.ArrayType):
        return pa.list_(arrow_type(kind.elementType))
    if isinstance(kind, T.StructType):
        return pa.struct([(field.name, arrow_type(field.dataType)) for field in kind.fields])
    return SCALARS[type(kind)]
