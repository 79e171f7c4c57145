"""A Delta table as a source, by path or by name: the part of it that is of a date is offered as one file.

Its hash is that of the names of its data files, which never change once they are written. Of a table that is
partitioned by the date, another date's rows do not change it; else every new version does.
"""

import hashlib
from datetime import date
from urllib.parse import urlsplit

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from core.errors import ConfigError, LamplighterError
from core.object_store import delta_options
from core.paths import SUPPORTED, Place, name_of, place, scheme_of
from core.source import FileSource
from jobs.tables.source_files import SourceFile


def table_of_date(folder: Place, source: FileSource, data_date: date | None) -> list[SourceFile]:
    """Return the rows of a date as one source file; none if the table is partitioned and has none.

    Args:
        folder: of the table.
        source: path, version and the column that holds the date, if there is one.
        data_date: the date; None: the whole table.

    Raises:
        LamplighterError: there is no such table, version or column.
    """
    table = open_table(folder, source)
    column = source.day_column
    if column is not None and column in table.metadata().partition_columns:
        files = table.file_uris(file_pruning_predicate=f"{column} = '{data_date}'")
        if not files:
            return []
    else:
        files = table.file_uris()
    names = "\n".join(sorted(file.removeprefix(table.table_uri) for file in files))
    label = source.path if data_date is None else f"{source.path}@{column}={data_date}"
    sha256 = hashlib.sha256(names.encode()).hexdigest()
    return [SourceFile(label, folder, sha256, data_date, table.version())]


def is_partitioned_by_date(folder: Place, source: FileSource) -> bool:
    """Return whether each date of a table has files of its own."""
    return source.day_column in open_table(folder, source).metadata().partition_columns


def dates_of_table(folder: Place, source: FileSource) -> list[date]:
    """Return the dates that a table has rows of, as far as its partitions tell."""
    column = source.day_column
    if column is None or not is_partitioned_by_date(folder, source):
        return []
    found = {str(values[column]) for values in open_table(folder, source).partitions()}
    return [day for text in found if (day := _date_of(text)) is not None]


def open_table(folder: Place, source: FileSource) -> DeltaTable:
    """Return a source table at its declared version, or the newest.

    Raises:
        LamplighterError: there is no such table, version or column.
    """
    try:
        table = DeltaTable(
            name_of(folder), version=source.version, storage_options=delta_options(scheme_of(folder))
        )
    except TableNotFoundError as error:
        raise LamplighterError(
            f"{source.path}: no Delta table in {folder.parent.name}/; expected one with a _delta_log; "
            "correct the path in conf/datasets, then run again"
        ) from error
    except DeltaError as error:
        raise LamplighterError(
            f"{source.path}: Delta table cannot be opened at version {source.version}: "
            f"{str(error).splitlines()[0]}; correct source.*.version, then run again"
        ) from error
    column = source.day_column
    names = [field.name for field in table.schema().fields]
    if column is not None and column not in names:
        raise LamplighterError(
            f"{source.path}: column {column}, which holds the date, is missing; the table has {names}; "
            "correct it in conf/datasets, then run again"
        )
    return table


def folder_of_table(spark: SparkSession, name: str) -> Place:
    """Return the folder of a Delta table that the session's catalog knows by name.

    Raises:
        ConfigError: there is none of this name, it is no Delta table, or it is in another file system.
    """
    try:
        quoted = ".".join(f"`{part}`" for part in name.split("."))
        detail = spark.sql(f"DESCRIBE DETAIL {quoted}").first()
    except AnalysisException as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"{name}: no table of the session's catalog ({reason}); expected the name of a Delta table; "
            "correct the path in conf/datasets, or the catalog's settings in runtime.spark"
        ) from error
    assert detail is not None  # one row per table
    if detail["format"] != "delta":
        raise ConfigError(
            f"{name}: a table of format {detail['format']}, whose changes cannot be noticed; expected a "
            f"Delta table; name its files instead, with their format, as they are in {detail['location']}"
        )
    location = str(detail["location"])
    if urlsplit(location).scheme not in SUPPORTED:
        raise ConfigError(f"{name}: its files are in {location}; expected a URI of {', '.join(SUPPORTED)}")
    return place(location)


def _date_of(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
