"""What data dates lack of that which is declared now: aggregates in tiles and state, columns in tables.

A declaration that changes leaves earlier data dates as they were made, until a backfill fills them in.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from core.declared_config import NULL_HASH
from core.errors import ConfigError
from core.expressions import columns_of
from core.features import Aggregate
from core.paths import Place, arrow_path
from core.schema import Config
from jobs.runtime.arguments import span_of
from jobs.runtime.code import hash_of
from jobs.runtime.fingerprints import Lineage
from jobs.runtime.pipeline import all_jobs, writers
from jobs.tables.ledger import RunKey
from jobs.tables.store import Store, key_where

if TYPE_CHECKING:
    from jobs.runtime.project import Project

Lacking = dict[date, frozenset[str]]
"""Data date -> aggregates that its tiles and state lack as they are declared now."""


def lacking_aggregates(project: "Project", lineage: Lineage, group: str, dates: Sequence[date]) -> Lacking:
    """Return the aggregates of a group that some data dates lack.

    As the configurations say that these dates were made with: of the newest run that is done, and of
    later ones, which may have been cut off between tables. A date that was never built lacks nothing.
    Cost: nothing is read where all dates were made with the configuration of now.

    Args:
        project: whose ledger.
        lineage: the newest runs of these dates, and the configuration of now.
        group: of features.
        dates: to look at.
    """
    job = writers(all_jobs())["{group}_features"]
    now = lineage.recipe(job).config
    others: dict[date, set[str]] = {}
    for day in dates:
        run = lineage.known.get(RunKey(job, "", day))
        if run is not None and run.state != "done":
            others[day] = _made_with(project, job, day)
        elif run is not None and run.config_hash != hash_of(now):
            others[day] = {run.config_hash}
    recipes = {row["hash"]: row["entries"] for row in project.store.rows("recipes")} if others else {}
    wanted, found = declared_aggregates(now, project.config, group), Lacking()
    for day, hashes in others.items():
        for each in hashes:
            entries = dict(entry.rpartition("=")[::2] for entry in recipes.get(each, ()))
            then = declared_aggregates(entries, project.config, group)
            lacks = frozenset(name for name, keys in wanted.items() if then[name] != keys)
            found[day] = found.get(day, frozenset()) | lacks
    return {day: names for day, names in found.items() if names}


def _made_with(project: "Project", job: str, day: date) -> set[str]:
    """Return the hashes of the configurations of the newest run that is done and of all after it."""
    found: set[str] = {"never done"}  # the hash of no configuration
    for row in project.ledger.rows([day]):
        if row["job"] == job:
            found = (set() if row["state"] == "done" else found) | {row["config_hash"]}
    return found


def declared_aggregates(
    entries: Mapping[str, str], config: Config, group: str
) -> dict[str, frozenset[tuple[str, str]]]:
    """Return aggregate -> the keys of a configuration that say what it measures, with their hashes.

    Args:
        entries: key -> hash, of the configuration that features are built with.
        config: that of now: which aggregates, and which columns they read.
        group: whose aggregates.
    """
    own = f"features.{group}."
    found = {}
    for aggregate in config.features.groups[group].aggregates:
        columns = columns_read(aggregate)
        derived = [name for name, each in config.derived.items() if columns & {*each.columns}]
        prefixes = (
            *(f"{own}aggregates[{aggregate.name}].", f"{own}key", f"{own}split"),
            *(f"behaviours.{column}." for column in columns),
            *(f"derived.{name}." for name in derived),
        )
        found[aggregate.name] = frozenset(
            (key, value)
            for key, value in entries.items()
            if key.startswith(prefixes) and value != NULL_HASH  # absent and null are the same
        )
    return found


def columns_read(aggregate: Aggregate) -> set[str]:
    """Return the columns that an aggregate reads."""
    read = set() if aggregate.of is None else {aggregate.of}
    where = aggregate.where
    return read if where is None else read | columns_of(where, f"features: {aggregate.name}")


def dates_without(
    store: Store, table: str, columns: Collection[str], dates: Sequence[date]
) -> dict[str, list[date]]:
    """Return column -> the data dates whose rows were written before a table had it: null in all of them.

    Dates without rows are left out. Cost: the footer of one file per date.

    Args:
        store: the tables.
        table: partitioned by data date.
        columns: to look for.
        dates: to look at.
    """
    files = store.files(table, key_where({"data_date": list(dates)})) if columns and dates else []
    of_date = {date.fromisoformat(file.parent.name.removeprefix("data_date=")): file for file in files}
    found: dict[str, list[date]] = {}
    for day, file in sorted(of_date.items()):
        for column in sorted(set(columns) - set(_columns_of(file))):
            found.setdefault(column, []).append(day)
    return found


def _columns_of(file: Place) -> list[str]:
    path, files = arrow_path(file)
    names: list[str] = pq.read_schema(path, filesystem=files).names
    return names


def require_filled_in(
    store: Store, table: str, columns: Collection[str], dates: Sequence[date], reader: str
) -> None:
    """Stop where rows of some data dates were written before a column was declared.

    Args:
        store: the tables.
        table: partitioned by data date.
        columns: that somebody reads.
        dates: of the rows that are read.
        reader: who reads them, for the message.

    Raises:
        ConfigError: naming the columns and the dates, and the command that fills them in.
    """
    absent = dates_without(store, table, columns, dates)
    if absent:
        days = sorted({day for found in absent.values() for day in found})
        raise ConfigError(
            f"{table}: {', '.join(sorted(absent))} is not filled in for {span_of(days[0], days[-1])}, where "
            f"{reader} reads it: it was declared later; run `lamplighter backfill --from {days[0]}`, or "
            "leave these data dates or the column out"
        )
