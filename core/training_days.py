"""Which data dates belong to a training set, and which ones its models are evaluated on."""

from datetime import date, timedelta

from core.schema import Training


def pinned_date(training: Training, data_date: date) -> date | None:
    """Return the newest date up to `data_date` on which a training set is pinned; None before the anchor.

    The set ends the day before it is pinned.
    """
    if data_date < training.anchor:
        return None
    return data_date - timedelta(days=(data_date - training.anchor).days % training.every_days)


def training_days(training: Training, data_date: date) -> list[date]:
    """Return the days of the training set that is current as of a data date, validation days last."""
    pinned = pinned_date(training, data_date)
    if pinned is None:
        return []
    return [pinned - timedelta(days=back) for back in range(training.window_days, 0, -1)]


def evaluation_days(training: Training, data_date: date) -> list[date]:
    """Return the days after the training set, up to the data date; none before the anchor."""
    pinned = pinned_date(training, data_date)
    return [] if pinned is None else date_range(pinned, data_date)


def date_range(first: date, last: date) -> list[date]:
    """Return every date from first to last, both included."""
    return [date.fromordinal(n) for n in range(first.toordinal(), last.toordinal() + 1)]
