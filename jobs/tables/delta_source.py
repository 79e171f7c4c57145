"""A Delta table as a source: the part of it that is of a date is offered as one file.

Its hash is that of the names of its data files, which never change once they are written. Of a table that is
partitioned by the date, another date's rows do not change it; else every new version does.
"""

import hashlib
from datetime import date
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from core.errors import LamplighterError
from core.source import EventSource, FileSource
from jobs.tables.source_files import SourceFile


def table_of_date(root: Path, source: FileSource, data_date: date | None) -> list[SourceFile]:
    """Return the rows of a date as one source file; none if the table is partitioned and has none.

    Args:
        root: folder that relative paths begin at.
        source: path, version and, of events, the column that holds the date.
        data_date: the date; None: the whole table.

    Raises:
        LamplighterError: there is no such table, version or column.
    """
    table = open_table(root, source)
    column = source.date_column if isinstance(source, EventSource) else None
    if column is not None and column in table.metadata().partition_columns:
        files = table.file_uris(file_pruning_predicate=f"{column} = '{data_date}'")
        if not files:
            return []
    else:
        files = table.file_uris()
    names = "\n".join(sorted(file.removeprefix(table.table_uri) for file in files))
    label = source.path if data_date is None else f"{source.path}@{column}={data_date}"
    sha256 = hashlib.sha256(names.encode()).hexdigest()
    return [SourceFile(label, root / source.path, sha256, data_date, table.version())]


def dates_of_table(root: Path, source: EventSource) -> list[date]:
    """Return the dates that a table has rows of, as far as its partitions tell."""
    table = open_table(root, source)
    if source.date_column not in table.metadata().partition_columns:
        return []
    found = {str(values[source.date_column]) for values in table.partitions()}
    return [day for text in found if (day := _date_of(text)) is not None]


def open_table(root: Path, source: FileSource) -> DeltaTable:
    """Return a source table at its declared version, or the newest.

    Raises:
        LamplighterError: there is no such table, version or column.
    """
    try:
        table = DeltaTable(root / source.path, version=source.version)
    except TableNotFoundError as error:
        raise LamplighterError(
            f"{source.path}: no Delta table in {root.name}/; expected one with a _delta_log; correct "
            "the path in conf/datasets, then run again"
        ) from error
    except DeltaError as error:
        raise LamplighterError(
            f"{source.path}: Delta table cannot be opened at version {source.version}: "
            f"{str(error).splitlines()[0]}; correct source.*.version, then run again"
        ) from error
    column = source.date_column if isinstance(source, EventSource) else None
    names = [field.name for field in table.schema().fields]
    if column is not None and column not in names:
        raise LamplighterError(
            f"{source.path}: date_column {column} is missing; the table has {names}; correct it in "
            "conf/datasets, then run again"
        )
    return table


def _date_of(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
