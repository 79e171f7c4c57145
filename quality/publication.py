"""Which night readers serve: the last row of `publications`. Rows and tonight's lists in, what to do out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from core.errors import LamplighterError

Action = Literal["append", "published already", "older than served"]


@dataclass(frozen=True)
class Publication:
    """One row of `publications`.

    Attributes:
        seq: from 1, without gaps; the largest one is served.
        data_date: whose lists.
        action: what was done.
        reason: why.
        model_version: what scored them; `group_mean` where no model has been promoted.
        scores_version: version of the table `scores`.
        fingerprint: of the run that published.
    """

    seq: int
    data_date: date
    action: str
    reason: str
    model_version: str
    scores_version: int
    fingerprint: str


@dataclass(frozen=True)
class Lists:
    """Tonight's lists, in `scores` and checked."""

    data_date: date
    model_version: str
    scores_version: int
    fingerprint: str


@dataclass(frozen=True)
class Announcement:
    """What is to be done with tonight's lists.

    Attributes:
        action: append: they are served from now on. published already: the newest row of the data date
            announces this very content.
            older than served: readers keep the later date; the scores of this one are corrected.
        row: to be appended; None if none is.
        served: what readers are served from then on.
        note: for people.
    """

    action: Action
    row: Publication | None
    served: Publication
    note: str


def announce(published: Sequence[Publication], lists: Lists) -> Announcement:
    """Return the row to append to `publications`, or why there is none.

    Args:
        published: all rows so far, in any order.
        lists: of tonight.
    """
    newest, served = newest_of(published, lists.data_date), served_by_now(published)
    if served is not None and newest is not None and newest.fingerprint == lists.fingerprint:
        return Announcement("published already", None, served, "published already")
    if served is not None and served.data_date > lists.data_date:
        return Announcement("older than served", None, served, f"{served.data_date} stays what readers serve")
    row = Publication(
        seq=1 if served is None else served.seq + 1,
        data_date=lists.data_date,
        action="publish",
        reason="suite passed",
        model_version=lists.model_version,
        scores_version=lists.scores_version,
        fingerprint=lists.fingerprint,
    )
    return Announcement("append", row, row, f"{lists.model_version} serves {lists.data_date}")


def served_by_now(published: Sequence[Publication]) -> Publication | None:
    """Return the row with the largest seq: what readers are served; None: nothing was published."""
    return max(published, key=lambda row: row.seq, default=None)


def newest_of(published: Sequence[Publication], data_date: date) -> Publication | None:
    """Return the newest row of a data date; None: its lists were never published."""
    return served_by_now([row for row in published if row.data_date == data_date])


def roll_back(published: Sequence[Publication], data_date: date, reason: str) -> Publication:
    """Return the row that makes readers serve the lists of an earlier publication again.

    The next night publishes as always.

    Args:
        published: all rows so far, in any order.
        data_date: whose lists; as they were published last.
        reason: why.

    Raises:
        LamplighterError: no lists of the data date were published, or they are served already.
    """
    served, newest = served_by_now(published), newest_of(published, data_date)
    if served is None or newest is None:
        known = ", ".join(str(day) for day in sorted({row.data_date for row in published})) or "none"
        raise LamplighterError(
            f"publications: no lists of data date {data_date} were published; expected one of {known}"
        )
    if served.data_date == data_date:
        raise LamplighterError(
            f"publications: readers are served the lists of {data_date} already; nothing to do"
        )
    return replace(newest, seq=served.seq + 1, action="roll back", reason=reason)
