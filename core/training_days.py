"""Which data dates belong to a training set, and which ones its models are evaluated on.

A label may become known some days after its event (`tasks[].matures_days`). What a night trains on, measures
and averages ends with the newest data date whose labels are final: all of these days are as many days
earlier as the slowest task needs.
"""

from collections.abc import Sequence
from datetime import date, timedelta

from core.schema import Config, Task, Training


def wait_days(tasks: Sequence[Task]) -> int:
    """Return how many days later than the events of a data date the last of its labels is final."""
    return max(task.matures_days for task in tasks)


def labelled_date(tasks: Sequence[Task], data_date: date) -> date:
    """Return the newest data date whose labels are final when the files of `data_date` are ingested."""
    return data_date - timedelta(days=wait_days(tasks))


def pinned_date(training: Training, data_date: date) -> date | None:
    """Return the newest date up to `data_date` on which a training set is pinned; None before the anchor.

    The set ends the day before the newest one whose labels are final on that date.
    """
    if data_date < training.anchor:
        return None
    return data_date - timedelta(days=(data_date - training.anchor).days % training.every_days)


def training_days(config: Config, data_date: date) -> list[date]:
    """Return the days of the training set that is current as of a data date, validation days last.

    Args:
        config: its training and tasks.
        data_date: of the night.
    """
    first = _first_evaluated(config, data_date)
    if first is None:
        return []
    return [first - timedelta(days=back) for back in range(config.training.window_days, 0, -1)]


def evaluation_days(config: Config, data_date: date) -> list[date]:
    """Return the days after the training set, up to the newest with final labels; none before the anchor."""
    first = _first_evaluated(config, data_date)
    return [] if first is None else date_range(first, labelled_date(config.tasks, data_date))


def baseline_date(training: Training, data_date: date) -> date | None:
    """Return the date as of which baselines are taken: they know the labels of the training set, not more."""
    pinned = pinned_date(training, data_date)
    return None if pinned is None else pinned - timedelta(days=1)


def date_range(first: date, last: date) -> list[date]:
    """Return every date from first to last, both included."""
    return [date.fromordinal(n) for n in range(first.toordinal(), last.toordinal() + 1)]


def _first_evaluated(config: Config, data_date: date) -> date | None:
    pinned = pinned_date(config.training, data_date)
    return None if pinned is None else labelled_date(config.tasks, pinned)
