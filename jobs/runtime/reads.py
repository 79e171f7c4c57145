"""What a job declares to read: a table, and which of its data dates, as a function of the configuration.

From these declarations follow the order of the night, the fingerprints, the inputs that must be there,
and the plan.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from core.schema import Config
from core.training_days import date_range, evaluation_days, training_days

Dates = Callable[[Config, date], Sequence[date]]
Kind = Literal["dates", "champion", "source"]
Tables = str | Callable[[Config], Sequence[str]]


@dataclass(frozen=True)
class Read:
    """One declared read.

    Attributes:
        tables: name of the table, or a function of the configuration that returns names.
        when: which partitions, in words: for messages, the plan and docs.
        dates: (configuration, data date) -> the data dates of the table that are read.
        kind: `dates`: fingerprints of these partitions are inputs. `champion`: the input is the version
            that serves as of the data date. `source`: the input is the content of source files.
        is_needed: whether the job that writes the table must be done for all these dates.
        is_pinned: whether the input stays what it was when a training set was pinned.
        is_of_tonight: whether the job comes after the one that writes the table; False: it reads what
            earlier nights have left.
    """

    tables: Tables
    when: str
    dates: Dates
    kind: Kind = "dates"
    is_needed: bool = True
    is_pinned: bool = False
    is_of_tonight: bool = True

    def names(self, config: Config) -> tuple[str, ...]:
        """Return the names of the tables."""
        return (self.tables,) if isinstance(self.tables, str) else tuple(self.tables(config))


def same_day(table: Tables, is_needed: bool = True) -> Read:
    """Read the partition of the data date."""
    return Read(table, "same day", lambda _, day: [day], is_needed=is_needed)


def day_before(table: Tables, is_needed: bool = True) -> Read:
    """Read the partition of the day before the data date."""
    return Read(table, "day before", lambda _, day: [day - timedelta(days=1)], is_needed=is_needed)


def trailing(table: Tables, days: Callable[[Config], int], what: str) -> Read:
    """Read the partitions of the last days up to the data date; those that are missing count as empty.

    Args:
        table: name of the table.
        days: number of days of the window, the data date included.
        what: the window in words.
    """
    return Read(
        table,
        f"trailing {what}",
        lambda config, day: date_range(day - timedelta(days=days(config) - 1), day),
        is_needed=False,
    )


def training_window(table: Tables) -> Read:
    """Read the days of the training set as of the data date, as they were when it was pinned."""
    return Read(
        table,
        "days of the training set",
        lambda config, day: training_days(config.training, day),
        is_pinned=True,
    )


def days_of_evaluation(table: Tables) -> Read:
    """Read the days after the training set, up to the data date."""
    return Read(table, "days of the evaluation", lambda config, day: evaluation_days(config.training, day))


def day_before_evaluation(table: Tables) -> Read:
    """Read the partition of the last day of the training set: what was known when the evaluation begins."""
    return Read(
        table,
        "day before the evaluation",
        lambda config, day: [
            first - timedelta(days=1) for first in evaluation_days(config.training, day)[:1]
        ],
        is_needed=False,
    )


def champion() -> Read:
    """Read the decisions up to the data date, tonight's included; what counts is who is the champion."""
    return Read(
        "promotions", "decisions up to the data date", lambda _, day: [day], "champion", is_needed=False
    )


def rival() -> Read:
    """Read the decisions before the candidate's own; what counts is the champion that it has to beat."""
    when = "decisions before the candidate's"
    return Read("promotions", when, lambda _, day: [day], "champion", is_needed=False, is_of_tonight=False)


def source_files(what: Literal["own", "log", "attributes"]) -> Read:
    """Read files that the source offers for the data date: what counts is their content."""
    return Read(what, "files of the data date", lambda _, day: [day], "source", is_needed=False)


def own_state(table: Tables) -> Read:
    """Read what the job itself wrote for the day before, if it did: state that it continues."""
    return Read(
        table, "own state of the day before", lambda _, day: [day - timedelta(days=1)], is_needed=False
    )
