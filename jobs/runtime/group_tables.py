"""Reading the tables of groups of features, with the state that their measures are merged from."""

from collections.abc import Callable, Mapping
from datetime import date

from pyspark.sql import DataFrame

from core.columns import key_columns, state_columns
from core.features import FeatureGroup
from jobs.runtime.run import Run

Read = Callable[[str], DataFrame]
"""Table -> its rows as of some data dates."""


def has_state(run: Run, group: str) -> bool:
    """Return whether a group has a table of state."""
    return bool(state_columns(run.config.features.groups[group], group))


def read_group(run: Run, group: str, data_date: date) -> DataFrame:
    """Return the features of a group as of a data date, beside them its state where it has one."""
    return _with_state(lambda table: run.read(table, data_date), run.config.features.groups[group], group)


def read_keyed_groups(run: Run, first: date, last: date | None = None) -> dict[str, DataFrame]:
    """Return all groups but users and items as of some data dates, as of `keyed_groups`."""
    return keyed_groups(lambda table: run.read(table, first, last), run.config.features.keyed)


def keyed_groups(read: Read, groups: Mapping[str, FeatureGroup]) -> dict[str, DataFrame]:
    """Return group -> its features, beside them its state where a key is a list."""
    return {
        group: read(f"{group}_features") if features.split is None else _with_state(read, features, group)
        for group, features in groups.items()
    }


def _with_state(read: Read, features: FeatureGroup, group: str) -> DataFrame:
    rows = read(f"{group}_features")
    if not state_columns(features, group):
        return rows
    key = key_columns(features, group)
    return rows.join(read(f"{group}_state"), on=[*key, "data_date"], how="left")
