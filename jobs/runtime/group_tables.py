"""Reading the tables of groups of features, with the state that their measures are merged from."""

from datetime import date

from pyspark.sql import DataFrame

from core.columns import key_columns, state_columns
from jobs.runtime.run import Run


def has_state(run: Run, group: str) -> bool:
    """Return whether a group has a table of state."""
    return bool(state_columns(run.config.features.groups[group], group))


def read_group(run: Run, group: str, first: date, last: date | None = None) -> DataFrame:
    """Return the features of a group as of some data dates, beside them its state where it has one."""
    features = run.read(f"{group}_features", first, last)
    if not has_state(run, group):
        return features
    state = run.read(f"{group}_state", first, last)
    key = key_columns(run.config.features.groups[group], group)
    return features.join(state, on=[*key, "data_date"], how="left")


def read_keyed_groups(run: Run, first: date, last: date | None = None) -> dict[str, DataFrame]:
    """Return group -> its features as of some data dates, of all groups but users and items."""
    return {
        group: read_group(run, group, first, last)
        if features.split is not None
        else run.read(f"{group}_features", first, last)
        for group, features in run.config.features.keyed.items()
    }
