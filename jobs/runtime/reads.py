"""What a job declares to read: a table, and which of its data dates, as a function of the configuration.

From these declarations follow the order of the night, the fingerprints, the inputs that must be there,
and the plan.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from core.columns import state_columns
from core.config_model import ENTITIES
from core.schema import Config
from core.training_days import baseline_date, date_range, evaluation_days, labelled_date, training_days

Dates = Callable[[Config, date], Sequence[date]]
Kind = Literal["dates", "champion", "source", "earlier"]
SourcePart = Literal["own", "log", "attributes", "pools"]
STATE = "{group}_state"
USER_POOLS = "user_pools"


@dataclass(frozen=True)
class Read:
    """One declared read.

    Attributes:
        table: its name, or a pattern as `{entity}_features` (see `table_names`); of kind `source` the part of
            the source.
        when: which partitions, in words, for people.
        dates: (configuration, data date) -> the data dates of the table that are read.
        kind: `dates`: fingerprints of these partitions are inputs. `champion`: the input is the version
            that serves as of the data date. `source`: the input is the content of source files. `earlier`:
            no input; any data date before may be read, of which the job's own state of the day before tells.
        is_needed: whether the job that writes the table must be done for all these dates.
        is_pinned: whether the input stays what it was when a training set was pinned.
        is_of_tonight: whether the job comes after the one that writes the table; False: it reads what
            earlier nights have left.
    """

    table: str
    when: str
    dates: Dates
    kind: Kind = "dates"
    is_needed: bool = True
    is_pinned: bool = False
    is_of_tonight: bool = True

    def names(self, config: Config) -> tuple[str, ...]:
        """Return the names of the tables."""
        return table_names(self.table, config)

    def is_of_own_date(self, config: Config, data_date: date) -> bool:
        """Return whether the partition of the data date itself is read."""
        return data_date in self.dates(config, data_date)

    def needs_day_before(self, config: Config, data_date: date) -> bool:
        """Return whether the job cannot run unless the day before is done."""
        return self.is_needed and list(self.dates(config, data_date)) == [data_date - timedelta(days=1)]


def table_names(pattern: str, config: Config) -> tuple[str, ...]:
    """Return the tables that a declaration names.

    Of `{entity}_cohorts` one per entity, of `{group}_features` one per group of features, of `{group}_state`
    one per group that has a state; `user_pools` where a list has items for single users. Order and edges of
    the night follow from the patterns alone.
    """
    if pattern == USER_POOLS and not config.has_user_pools:
        return ()
    if "{group}" in pattern:
        groups = config.features.groups
        if pattern == STATE:
            groups = {name: group for name, group in groups.items() if state_columns(group, name)}
        return tuple(pattern.format(group=name) for name in groups)
    if "{entity}" not in pattern:
        return (pattern,)
    return tuple(pattern.format(entity=entity) for entity in ENTITIES)


def same_day(table: str, is_needed: bool = True) -> Read:
    """Read the partition of the data date."""
    return Read(table, "same day", lambda _, data_date: [data_date], is_needed=is_needed)


def day_before(table: str, is_needed: bool = True) -> Read:
    """Read the partition of the day before the data date."""
    return Read(
        table, "day before", lambda _, data_date: [data_date - timedelta(days=1)], is_needed=is_needed
    )


def trailing(table: str, days: Callable[[Config], int], what: str) -> Read:
    """Read the partitions of the last days up to the data date; those that are missing count as empty.

    Args:
        table: name of the table.
        days: number of days of the window, the data date included.
        what: the window in words.
    """
    return Read(
        table,
        f"trailing {what}",
        lambda config, data_date: date_range(data_date - timedelta(days=days(config) - 1), data_date),
        is_needed=False,
    )


def labelled_window(table: str, days: Callable[[Config], int], what: str) -> Read:
    """Read the partitions of the last days whose labels are final; those that are missing count as empty.

    Args:
        table: name of the table.
        days: number of days of the window.
        what: the window in words.
    """

    def dates(config: Config, data_date: date) -> list[date]:
        last = labelled_date(config.tasks, data_date)
        return date_range(last - timedelta(days=days(config) - 1), last)

    return Read(table, f"trailing {what}", dates, is_needed=False)


def labelled_day(table: str) -> Read:
    """Read the partition of the newest data date with final labels, if there is one."""
    return Read(
        table,
        "newest day with final labels",
        lambda config, data_date: [labelled_date(config.tasks, data_date)],
        is_needed=False,
    )


def day_before_labelled(table: str) -> Read:
    """Read the partition of the day before the newest data date with final labels, if there is one."""
    return Read(
        table,
        "day before the newest with final labels",
        lambda config, data_date: [labelled_date(config.tasks, data_date) - timedelta(days=1)],
        is_needed=False,
    )


def training_window(table: str) -> Read:
    """Read the days of the training set as of the data date, as they were when it was pinned."""
    return Read(
        table,
        "days of the training set",
        training_days,
        is_pinned=True,
    )


def days_of_evaluation(table: str) -> Read:
    """Read the days after the training set, up to the newest with final labels."""
    return Read(table, "days of the evaluation", evaluation_days)


def day_before_evaluation(table: str) -> Read:
    """Read the partition of the day before the training set is pinned: it knows the labels of the set."""
    return Read(
        table,
        "day before the evaluation",
        lambda config, data_date: [
            day for day in [baseline_date(config.training, data_date)] if day is not None
        ],
        is_needed=False,
    )


def champion() -> Read:
    """Read the decisions up to the data date, tonight's included; what counts is who is the champion."""
    return Read(
        "promotions",
        "decisions up to the data date",
        lambda _, data_date: [data_date],
        "champion",
        is_needed=False,
    )


def rival() -> Read:
    """Read the decisions before the candidate's own; what counts is the champion that it has to beat."""
    when = "decisions before the candidate's"
    return Read(
        "promotions", when, lambda _, data_date: [data_date], "champion", is_needed=False, is_of_tonight=False
    )


def source_files(part: SourcePart) -> Read:
    """Read files that the source offers for the data date: what counts is their content.

    Args:
        part: "own": log files that the date names; "log": log files that hold rows of the date;
            "attributes": files of users and items; "pools": files of items that lists name.
    """
    return Read(part, "files of the data date", lambda _, data_date: [data_date], "source", is_needed=False)


def source_log() -> tuple[Read, ...]:
    """Read log files that hold rows of the data date: found through the manifest and the re-admissions."""
    return same_day("source_files"), same_day("readmissions"), source_files("log")


def own_state(table: str) -> Read:
    """Read what the job itself wrote for the day before, if it did: state that it continues."""
    return Read(
        table,
        "own state of the day before",
        lambda _, data_date: [data_date - timedelta(days=1)],
        is_needed=False,
    )


def earlier(table: str, what: str) -> Read:
    """Read data dates before, where the state of the day before lacks something that follows from them.

    Args:
        table: name of the table.
        what: for what, in words.
    """
    return Read(table, f"earlier days, {what}", lambda *_: [], "earlier", is_needed=False)
