"""Reading and replacing tables; every commit says which run made it and from what.

Two writers, one format. Tables that grow with users, items or events are written by Spark under a
lock that the job holds to its end (`replace`). Books, a few rows known to Python, are written by
delta-rs under a lock a commit (`append_rows`, `replace_rows`): no Spark needed, some 20 ms each.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, Schema, write_deltalake
from deltalake.exceptions import TableNotFoundError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from core.errors import LamplighterError
from jobs.tables.catalog import Catalog, Table
from jobs.tables.locks import commit_lock

ARROW_TYPES: Mapping[type[T.DataType], pa.DataType] = {
    T.StringType: pa.string(),
    T.LongType: pa.int64(),
    T.IntegerType: pa.int32(),
    T.ByteType: pa.int8(),
    T.DoubleType: pa.float64(),
    T.BooleanType: pa.bool_(),
    T.DateType: pa.date32(),
    T.TimestampType: pa.timestamp("us", tz="UTC"),
    T.BinaryType: pa.binary(),
    T.ArrayType: pa.list_(pa.string()),  # the only arrays in books are of strings
}

# Statistics of the first columns, the keys, are what files are skipped by; of wide rows they cost as much
# as the rows.
TABLE_PROPERTIES = {"delta.dataSkippingNumIndexedCols": "4"}


@dataclass(frozen=True)
class Commit:
    """One new version of a table and the rows that it wrote."""

    table: str
    version: int
    rows: int


class Store:
    """The tables of one catalog, read and written."""

    def __init__(self, catalog: Catalog, lock_wait_seconds: float) -> None:
        self.catalog = catalog
        self.lock_wait_seconds = lock_wait_seconds

    # --- what is there -----------------------------------------------------------------------

    def delta(self, name: str, version: int | None = None) -> DeltaTable | None:
        """The table's log, or None where it was never written."""
        try:
            return DeltaTable(self.catalog.path(name), version=version)
        except TableNotFoundError:
            return None

    def version(self, name: str) -> int | None:
        """Newest version of a table, or None where it was never written."""
        table = self.delta(name)
        return None if table is None else table.version()

    def partitions(self, name: str, column: str = "data_date") -> set[str]:
        """Values of a partition column that have files."""
        table = self.delta(name)
        return set() if table is None else {row[column] for row in table.partitions()}

    def data_dates(self, name: str) -> list[date]:
        """Data dates that have files, in order."""
        return sorted(date.fromisoformat(value) for value in self.partitions(name))

    def newest_metadata(self, name: str) -> dict[str, str]:
        """What the newest commit of a table carries; empty where there is none of ours."""
        table = self.delta(name)
        text = None if table is None else table.history(1)[0].get("userMetadata")
        return json.loads(text) if text else {}

    # --- read --------------------------------------------------------------------------------

    def read(self, spark: SparkSession, name: str, version: int | None = None) -> DataFrame:
        """A table as of one version (default: newest); a table never written has no rows."""
        if version is None:
            version = self.version(name)
        if version is None:
            return spark.createDataFrame([], self.catalog[name].schema)
        reader = spark.read.format("delta").option("versionAsOf", version)
        return reader.load(str(self.catalog.path(name)))

    def rows(
        self, name: str, predicate: str | None = None, only: ds.Expression | None = None
    ) -> list[dict[str, Any]]:
        """Rows of a small table, or a few rows of a large one, without Spark.

        Args:
            predicate: SQL over partition columns that prunes files.
            only: filter on rows.
        """
        table = self.delta(name)
        declared = self.catalog[name]
        if table is None:
            return []
        schema = _arrow_schema(declared)
        partitioning = ds.partitioning(
            pa.schema([schema.field(column) for column in declared.partition]), flavor="hive"
        )
        files = table.file_uris(file_pruning_predicate=predicate) if predicate else table.file_uris()
        if not files:
            return []
        dataset = ds.dataset(files, schema=schema, format="parquet", partitioning=partitioning)
        rows: list[dict[str, Any]] = dataset.to_table(filter=only).to_pylist()
        return rows

    # --- write -------------------------------------------------------------------------------

    def replace(
        self, name: str, frame: DataFrame, where: str, metadata: Mapping[str, Any], rows: int
    ) -> Commit:
        """Replace the rows that meet `where` by those of the frame, in one commit, or nothing.

        Columns are put into the declared order; missing ones, surplus ones and other types are an
        error, never cast away.

        Args:
            where: SQL predicate that every row of the frame meets; "true" replaces the table.
            rows: of the frame, as `check_rows` counted them.

        Raises:
            LamplighterError: the frame is not what the catalog declares.
        """
        declared = self.catalog[name]
        table = self._ensure(declared)
        frame = _as_declared(frame, declared)
        writer = frame.write.format("delta").mode("overwrite").option("userMetadata", json.dumps(metadata))
        if where != "true":
            writer = writer.option("replaceWhere", where)
        writer.save(str(self.catalog.path(name)))
        table.update_incremental()
        return Commit(name, table.version(), rows)

    def append_rows(
        self, name: str, rows: Sequence[Mapping[str, Any]], owner: str, metadata: Mapping[str, Any]
    ) -> Commit:
        """Append rows to a book.

        Raises:
            LamplighterError: a key among them is null or stands twice; another writer does not end.
        """
        return self._write_rows(name, rows, owner, metadata, predicate=None)

    def replace_rows(
        self,
        name: str,
        rows: Sequence[Mapping[str, Any]],
        owner: str,
        metadata: Mapping[str, Any],
        predicate: str,
    ) -> Commit:
        """Replace the rows of a book that meet the predicate."""
        return self._write_rows(name, rows, owner, metadata, predicate=predicate)

    def _write_rows(
        self,
        name: str,
        rows: Sequence[Mapping[str, Any]],
        owner: str,
        metadata: Mapping[str, Any],
        predicate: str | None,
    ) -> Commit:
        declared = self.catalog[name]
        keys = [tuple(row[column] for column in declared.grain) for row in rows]
        if len(set(keys)) < len(keys) or any(None in key for key in keys):
            raise LamplighterError(
                f"{name}: a key ({', '.join(declared.grain)}) stands more than once or holds a null; "
                "expected neither; table unchanged. This is a fault of the code: mend it, then run again"
            )
        schema = _arrow_schema(declared)
        data = pa.Table.from_pylist([{c: row.get(c) for c in schema.names} for row in rows], schema=schema)
        properties = CommitProperties(custom_metadata={"userMetadata": json.dumps(metadata)})
        with commit_lock(self.catalog.lock(name), owner, self.lock_wait_seconds):
            table = self._ensure(declared)
            # merge: a book of before gains the columns that were declared since.
            if predicate is None:
                write_deltalake(table, data, mode="append", schema_mode="merge", commit_properties=properties)
            else:
                write_deltalake(
                    table,
                    data,
                    mode="overwrite",
                    predicate=predicate,
                    schema_mode="merge",
                    commit_properties=properties,
                )
        return Commit(name, table.version(), len(rows))

    def _ensure(self, declared: Table) -> DeltaTable:
        """Create the table before anybody can race on it."""
        return DeltaTable.create(
            self.catalog.path(declared.name),
            schema=Schema.from_json(declared.schema.json()),
            partition_by=list(declared.partition),
            mode="ignore",
            configuration=TABLE_PROPERTIES,
        )


def check_rows(frame: DataFrame, declared: Table) -> int:
    """Check grain and constraints in one pass; return the number of rows.

    Cost: one aggregation over the frame, one shuffle of its keys.

    Raises:
        LamplighterError: a key is null or stands twice, or a declared constraint does not hold.
    """
    by_key = frame.groupBy(*declared.grain).agg(
        F.count(F.lit(1)).alias("n"),
        *(
            F.count_if(~F.coalesce(F.expr(constraint), F.lit(False))).alias(f"broken_{i}")
            for i, constraint in enumerate(declared.constraints)
        ),
    )
    key_is_null = F.greatest(F.lit(False), *(F.col(column).isNull() for column in declared.grain))
    found = by_key.agg(
        F.coalesce(F.sum("n"), F.lit(0)).alias("rows"),
        F.count_if(F.col("n") > 1).alias("twice"),
        F.count_if(key_is_null).alias("nulls"),
        *(
            F.coalesce(F.sum(f"broken_{i}"), F.lit(0)).alias(f"broken_{i}")
            for i in range(len(declared.constraints))
        ),
    ).first()
    assert found is not None  # a global aggregation has one row
    faults = []
    if found["nulls"]:
        faults.append(f"{found['nulls']} keys ({', '.join(declared.grain)}) hold a null")
    if found["twice"]:
        faults.append(f"{found['twice']} keys ({', '.join(declared.grain)}) stand more than once")
    for i, constraint in enumerate(declared.constraints):
        if found[f"broken_{i}"]:
            faults.append(f"{found[f'broken_{i}']} rows break `{constraint}`")
    if faults:
        raise LamplighterError(
            f"{declared.name}: {'; '.join(faults)}; expected none; table unchanged. "
            "This is a fault of the code or of the configuration: mend it, then run again"
        )
    return int(found["rows"])


def dates_where(first: date, last: date, column: str = "data_date") -> str:
    """Literal predicate of a range of data dates."""
    if first == last:
        return f"{column} = DATE'{first}'"
    return f"{column} >= DATE'{first}' AND {column} <= DATE'{last}'"


def _as_declared(frame: DataFrame, declared: Table) -> DataFrame:
    found = {field.name: field.dataType for field in frame.schema.fields}
    faults = [
        *(f"{name} is missing" for name in declared.columns if name not in found),
        *(f"{name} is not declared" for name in found if name not in declared.columns),
        *(
            f"{name} is {found[name].simpleString()}, declared {kind.simpleString()}"
            for name, kind in declared.columns.items()
            if name in found and found[name] != kind
        ),
    ]
    if faults:
        raise LamplighterError(f"{declared.name}: columns differ from the catalog: {'; '.join(faults)}")
    return frame.select(*declared.columns)


def _arrow_schema(declared: Table) -> pa.Schema:
    return pa.schema([(name, _arrow_type(kind)) for name, kind in declared.columns.items()])


def _arrow_type(kind: T.DataType) -> pa.DataType:
    if isinstance(kind, T.DecimalType):
        return pa.decimal128(kind.precision, kind.scale)
    return ARROW_TYPES[type(kind)]


def union_of_dates(dates: Iterable[date]) -> str:
    """Predicate for a set of data dates, for pruning files with delta-rs."""
    return "data_date IN (" + ", ".join(f"'{day}'" for day in sorted(dates)) + ")"
