"""Since when a table has each of its columns, as its commits say."""

from contextlib import suppress
from datetime import date

from jobs.tables.store import Store


def columns_since(store: Store, table: str) -> dict[str, date]:
    """Return column -> the first data date from which on every one has it; none that the last one lacks.

    A data date whose commit is no longer in the log of the table counts as one that has all columns.

    Args:
        store: tables of the data set.
        table: one whose commits name their columns (`Table.column_fingerprints`).
    """
    written: dict[date, set[str]] = {}
    for metadata in store.commits(table).values():
        for partition in metadata.get("partitions", ()):
            with suppress(ValueError):  # a training set, or the whole table
                written[date.fromisoformat(partition)] = set(metadata.get("columns", ()))
    since: dict[str, date] = {}
    lacking: set[str] = set()
    for data_date in reversed(store.data_dates(table)):
        for column in store.catalog[table].column_fingerprints:
            if data_date in written and column not in written[data_date]:
                lacking.add(column)
            elif column not in lacking:
                since[column] = data_date
    return since
