"""The declaration of a table, and the types of its columns."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pyspark.sql import types as T

Columns = dict[str, T.DataType]

STRING: T.DataType = T.StringType()
LONG: T.DataType = T.LongType()
INT: T.DataType = T.IntegerType()
DOUBLE: T.DataType = T.DoubleType()
BOOLEAN: T.DataType = T.BooleanType()
DATE: T.DataType = T.DateType()
TIME: T.DataType = T.TimestampType()
BINARY: T.DataType = T.BinaryType()
STRINGS: T.DataType = T.ArrayType(T.StringType())
DOUBLES: T.DataType = T.ArrayType(T.DoubleType())
LONGS: T.DataType = T.ArrayType(T.LongType())
TYPES: Columns = {
    kind.simpleString(): kind for kind in (T.ByteType(), INT, LONG, DOUBLE, STRING, BOOLEAN, TIME, DATE)
}


@dataclass(frozen=True)
class Table:
    """Declaration of one table.

    Attributes:
        name: of the table.
        holds: what it holds, for people.
        grain: columns that identify a row.
        columns: name -> type.
        partition: partition columns.
        date_column: column with the data date of the run that wrote a row; None: rows belong to no data date.
        constraints: SQL that holds in each row, besides non-null grain.
        not_content: columns that describe a run and not the world (ids of runs, times, versions); the digest
            leaves them out.
        has_suite: whether rows meet a suite before they are committed.
        is_large: whether it grows with users, items or events, and is written by Spark.
        column_fingerprints: column -> hash of its declaration, for tables whose columns can be filled in one
            by one.
    """

    name: str
    grain: tuple[str, ...]
    columns: Columns
    holds: str = ""
    partition: tuple[str, ...] = ("data_date",)
    date_column: str | None = "data_date"
    constraints: tuple[str, ...] = ()
    not_content: tuple[str, ...] = ()
    has_suite: bool = False
    is_large: bool = False
    column_fingerprints: Mapping[str, str] = field(default_factory=dict)

    @property
    def schema(self) -> T.StructType:
        """The Spark schema, all columns nullable as Delta keeps them."""
        return T.StructType([T.StructField(name, kind, True) for name, kind in self.columns.items()])

    @property
    def declaration_hash(self) -> str:
        """Hash of what the declaration says of rows: grain, partitions, columns, constraints."""
        said = [self.grain, self.partition, self.schema.json(), self.constraints]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    @property
    def has_content(self) -> bool:
        """Whether the digest has anything to hash."""
        return bool(self.content)

    @property
    def content(self) -> tuple[str, ...]:
        """Columns that the digest hashes."""
        return tuple(name for name in self.columns if name not in self.not_content)


def sql_type(name: str) -> T.DataType:
    """Return a type of the configuration, such as bigint or decimal(12,3)."""
    if found := re.fullmatch(r"decimal\((\d+),(\d+)\)", name):
        return T.DecimalType(int(found[1]), int(found[2]))
    return TYPES[name]
