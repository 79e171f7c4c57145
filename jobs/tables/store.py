"""Reading and replacing tables; every commit names the run that made it and what it was made from.

One format, two writers. Tables that grow with users, items or events are written by Spark while the job
holds their locks (`replace`). Small tables, whose rows Python knows, are written by delta-rs under a lock per
commit (`append_rows`, `replace_rows`): no Spark, about 20 ms each.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, Schema, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.errors import LamplighterError
from core.object_store import delta_options
from core.paths import Place, arrow_path, by_parts, name_of, scheme_of
from jobs.tables.arrow import arrow_schema
from jobs.tables.catalog import Catalog
from jobs.tables.checks import (
    SchemaDifference,
    as_declared,
    check_rows,
    refuse_faults,
    refuse_unknown_features,
    schema_difference,
)
from jobs.tables.faults import explained
from jobs.tables.history import Commits, Metadata, refuse_empty_commit
from jobs.tables.locks import Locks
from jobs.tables.merge import changed_rows, merge_rows
from jobs.tables.table import Table

__all__ = ["Commit", "Store", "check_rows", "dates_where", "key_where"]

TABLE_PROPERTIES = {
    # Statistics of the first columns, the keys, are what files are skipped by; of wide rows they cost as much
    # as the rows.
    "delta.dataSkippingNumIndexedCols": "4",
    # `rows` and training open data files by themselves: what a file holds is what the table holds.
    "delta.enableDeletionVectors": "false",
    "delta.columnMapping.mode": "none",
}


@dataclass(frozen=True)
class Commit:
    """One new version of a table and the number of rows that it wrote."""

    table: str
    version: int
    rows: int


class Store:
    """The tables of one catalog, read and written.

    Each method turns faults of the infrastructure into one-line errors (`jobs/tables/faults.py`).

    Args:
        catalog: declarations and folders of the tables.
        locks: one writer per table.
    """

    def __init__(self, catalog: Catalog, locks: Locks) -> None:
        self.catalog = catalog
        self.locks = locks
        self._commits: dict[str, Commits] = {}

    # --- what is there -----------------------------------------------------------------------

    def delta(self, name: str, version: int | None = None) -> DeltaTable | None:
        """Return a table's log, or None if the table was never written.

        Raises:
            LamplighterError: the log is gone or broken, or its protocol has a reader feature that readers
                of data files do not know.
        """
        folder = self.catalog.path(name)
        with explained(name, folder):
            try:
                options = delta_options(scheme_of(folder))
                table = DeltaTable(name_of(folder), version=version, storage_options=options)
            except TableNotFoundError:
                if next(folder.rglob("*.parquet"), None) is None:
                    return None
                raise
            refuse_empty_commit(folder, table.version())
            refuse_unknown_features(name, table)
            return table

    def version(self, name: str) -> int | None:
        """Return the newest version of a table, or None if it was never written."""
        table = self.delta(name)
        return None if table is None else table.version()

    def partitions(self, name: str, column: str = "data_date") -> set[str]:
        """Return the values of a partition column that have files."""
        table = self.delta(name)
        return set() if table is None else {row[column] for row in table.partitions()}

    def data_dates(self, name: str) -> list[date]:
        """Return the data dates that have files, in order."""
        return sorted(date.fromisoformat(value) for value in self.partitions(name))

    def commits(self, name: str) -> Mapping[int, Metadata]:
        """Return version -> what each commit of a table carries, oldest first; see `Commits.read`.

        A version that the ledger knows and this does not, although it is newer than the oldest one here, was
        lost; one that carries another run id was written anew.
        """
        folder = self.catalog.path(name)
        with explained(name, folder):
            return self._commits.setdefault(name, Commits(folder)).read()

    def newest_metadata(self, name: str) -> Metadata:
        """Return what the newest commit of a table carries; empty if there is none of ours."""
        return next(reversed(list(self.commits(name).values())), {})

    def schema_difference(self, name: str) -> SchemaDifference:
        """Return how an existing table differs from its declaration; not at all if it was never written."""
        table = self.delta(name)
        nothing = SchemaDifference([], {}, [])
        return nothing if table is None else schema_difference(self.catalog[name], table)

    # --- read --------------------------------------------------------------------------------

    def read(self, spark: SparkSession, name: str, version: int | None = None) -> DataFrame:
        """Return a table as of one version (default: newest); a table never written has no rows."""
        table = self.delta(name, version)
        if table is None:
            return spark.createDataFrame([], self.catalog[name].schema)
        folder = self.catalog.path(name)
        with explained(name, folder):
            return spark.read.format("delta").option("versionAsOf", table.version()).load(name_of(folder))

    def rows(
        self, name: str, predicate: str | None = None, only: ds.Expression | None = None
    ) -> list[dict[str, Any]]:
        """Return rows of a small table, or a few rows of a large one, without Spark.

        Args:
            name: name of the table.
            predicate: SQL over partition columns that prunes files.
            only: filter on rows.
        """
        table = self.delta(name)
        if table is None:
            return []
        declared = self.catalog[name]
        schema = arrow_schema(declared)
        partitioning = ds.partitioning(
            pa.schema([schema.field(column) for column in declared.partition]), flavor="hive"
        )
        with explained(name, self.catalog.path(name)):
            files = [arrow_path(file) for file in self._files(name, table, predicate)]
            if not files:
                return []
            dataset = ds.dataset(
                [path for path, _ in files],
                schema=schema,
                format="parquet",
                partitioning=partitioning,
                filesystem=files[0][1],
            )
            rows: list[dict[str, Any]] = dataset.to_table(filter=only).to_pylist()
            return rows

    def rows_of(self, name: str, key: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the rows of a small table that have these values; partition columns prune files."""
        partition = self.catalog[name].partition
        pruned = {column: value for column, value in key.items() if column in partition}
        found = self.rows(name, key_where(pruned) if pruned else None)
        return [row for row in found if all(row[column] == value for column, value in key.items())]

    def files(self, name: str, predicate: str | None = None, version: int | None = None) -> list[Place]:
        """Return the data files of a table, in order; of the partitions that a predicate meets, or all.

        Args:
            name: name of the table.
            predicate: SQL over partition columns.
            version: of the table; default: newest.
        """
        table = self.delta(name, version)
        if table is None:
            return []
        with explained(name, self.catalog.path(name)):
            return sorted(self._files(name, table, predicate), key=by_parts)

    def is_whole(self, name: str, predicate: str | None = None) -> bool:
        """Return whether a table, or what meets a predicate over partition columns, has files that all exist.

        Jobs ask before they leave a table as it is: what was lost is then written again.
        """
        files = self.files(name, predicate or None)
        return bool(files) and all(file.exists() for file in files)

    def _files(self, name: str, table: DeltaTable, predicate: str | None) -> list[Place]:
        uris = table.file_uris(file_pruning_predicate=predicate) if predicate else table.file_uris()
        folder = self.catalog.path(name)
        # delta-rs percent-encodes the table's folder in them, and not what follows.
        encoded = urlsplit(table.table_uri).path if isinstance(folder, Path) else table.table_uri
        return [folder / uri.removeprefix(encoded).lstrip("/") for uri in uris]

    # --- write -------------------------------------------------------------------------------

    def replace(
        self, name: str, frame: DataFrame, where: str, metadata: Mapping[str, Any], rows: int
    ) -> Commit:
        """Replace the rows that meet `where` by those of the frame, in one commit, or nothing.

        Columns are put into the declared order; missing ones, surplus ones and other types are an
        error, never cast away. Columns that the existing table lacks are added to it in the same commit.

        Args:
            name: name of the table.
            frame: the rows.
            where: SQL predicate that every row of the frame meets; "true" replaces the table.
            metadata: what the commit carries, written as JSON.
            rows: number of rows of the frame, as `check_rows` counted them.

        Raises:
            LamplighterError: the frame is not what the catalog declares.
            ConfigError: the existing table has columns of other types than the catalog declares.
        """
        declared = self.catalog[name]
        frame = as_declared(frame, declared)
        folder = self.catalog.path(name)
        with explained(name, folder):
            table = self._ensure(declared)
            difference = schema_difference(declared, table)
            refuse_faults(name, difference)
            writer = frame.write.format("delta").mode("overwrite")
            writer = writer.option("userMetadata", json.dumps(metadata))
            if difference.new:
                writer = writer.option("mergeSchema", True)
            if where != "true":
                writer = writer.option("replaceWhere", where)
            self.locks.confirm(name)
            writer.save(name_of(folder))
            self.locks.confirm(name)
            table.update_incremental()
            return Commit(name, table.version(), rows)

    def merge(self, name: str, frame: DataFrame, metadata: Mapping[str, Any]) -> Commit | None:
        """Make the rows of a table those of the frame, in one MERGE that writes only what differs.

        Cost: one join of the table with the frame, and the files that hold a row that differs.

        Args:
            name: name of the table.
            frame: all its rows, one per key.
            metadata: what the commit carries, written as JSON.

        Returns:
            The commit, with the number of rows that differ; None: none does, and the table is as it was.

        Raises:
            LamplighterError: the frame is not what the catalog declares.
            ConfigError: the existing table has columns of other types than the catalog declares.
        """
        declared = self.catalog[name]
        frame = as_declared(frame, declared)
        folder = self.catalog.path(name)
        with explained(name, folder):
            table = self._ensure(declared)
            difference = schema_difference(declared, table)
            refuse_faults(name, difference)
            version = table.version()
            nulls = {column: F.lit(None).cast(kind) for column, kind in difference.new.items()}
            stored = self.read(frame.sparkSession, name).withColumns(nulls)
            changes = changed_rows(stored, frame, declared.grain).localCheckpoint()
            count = changes.count()
            if not count and not difference.new:
                return None
            self.locks.confirm(name)
            merge_rows(folder, changes, declared.grain, json.dumps(metadata))
            self.locks.confirm(name)
            table.update_incremental()
            if table.version() != version + 1:
                raise LamplighterError(
                    f"{name}: version {table.version()} follows {version}; expected one commit"
                )
            return Commit(name, table.version(), count)

    def append_rows(
        self, name: str, rows: Sequence[Mapping[str, Any]], owner: str, metadata: Mapping[str, Any]
    ) -> Commit:
        """Append rows to a small table.

        Raises:
            LamplighterError: a key is null or occurs more than once; another writer does not end.
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
        """Replace the rows of a small table that meet the predicate; errors as of `append_rows`."""
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
        _check_keys(declared, rows)
        schema = arrow_schema(declared)
        data = pa.Table.from_pylist([{c: row.get(c) for c in schema.names} for row in rows], schema=schema)
        properties = CommitProperties(custom_metadata={"userMetadata": json.dumps(metadata)})
        with self._locked(name, owner):
            table = self._ensure(declared)
            refuse_faults(name, schema_difference(declared, table))
            before = table.version()
            try:
                _write(table, data, predicate, properties)
            except CommitFailedError:
                # An object store may have made the commit and its answer be lost: tried again, it is refused.
                if self.commits(name).get(before + 1) != json.loads(json.dumps(metadata)):
                    raise
                table.update_incremental()
            return Commit(name, table.version(), len(rows))

    @contextmanager
    def _locked(self, name: str, owner: str) -> Iterator[None]:
        with explained(name, self.catalog.path(name)), self.locks.commit(name, owner):
            yield

    def _ensure(self, declared: Table) -> DeltaTable:
        """Create the table before another writer can; open it if it exists."""
        table = self.delta(declared.name)
        if table is not None:
            return table
        folder = self.catalog.path(declared.name)
        return DeltaTable.create(
            name_of(folder),
            schema=Schema.from_json(declared.schema.json()),
            partition_by=list(declared.partition),
            mode="ignore",
            configuration=TABLE_PROPERTIES,
            storage_options=delta_options(scheme_of(folder)),
        )


def _write(table: DeltaTable, data: pa.Table, predicate: str | None, properties: CommitProperties) -> None:
    """Append rows, or replace by them those that meet a predicate.

    merge: a table of an earlier release gains the columns that were declared since.
    """
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


def dates_where(first: date, last: date, column: str = "data_date") -> str:
    """Return the literal predicate of a range of data dates."""
    if first == last:
        return f"{column} = DATE'{first}'"
    return f"{column} >= DATE'{first}' AND {column} <= DATE'{last}'"


def key_where(key: Mapping[str, Any]) -> str:
    """Return the predicate of rows with these values, as delta-rs reads it.

    Args:
        key: column -> a value, or several of which a row has one; dates, texts and whole numbers.
    """
    return " AND ".join(f'"{column}" {_one_of(value)}' for column, value in key.items())


def _one_of(value: Any) -> str:
    if isinstance(value, Collection) and not isinstance(value, str):
        return f"IN ({', '.join(map(_literal, sorted(value)))})"
    return f"= {_literal(value)}"


def _literal(value: Any) -> str:
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def _check_keys(declared: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    keys = [tuple(row[column] for column in declared.grain) for row in rows]
    if len(set(keys)) < len(keys) or any(None in key for key in keys):
        raise LamplighterError(
            f"{declared.name}: a key ({', '.join(declared.grain)}) occurs more than once or holds a null; "
            "expected neither; table unchanged. This is a fault of the code: fix it, then run again"
        )
