"""Who comes when, and what becomes of the row: every answer by itself, without those before it.

A user's time is cut into cycles of P days, of which each holds one session; a session's date is drawn
among the days of its cycle, but the last, so that no two fall on one date. So a date, a user and the spec
alone tell whether there is a session, and how many events came before it.

Letters: n users that are asked for, m events.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from jobs.workers.synthetic.hashing import Floats, Ints, uniforms, uniforms_at
from jobs.workers.synthetic.spec import BUSIEST, LATEST_DAYS, SECONDS_APART, LogSpec

SOUND, DUPLICATE, LATE, NO_USER, NO_TIME, WRONG_CLICK, WRONG_SECONDS = FATES = range(7)
FATE_NAMES = ("sound", "duplicate", "late", "no_user", "no_time", "wrong_click", "wrong_seconds")
"""What becomes of an event's row; the last four are the ways in which it can be broken."""


@dataclass(frozen=True)
class Visits:
    """Events of one data date whose rows are in one file, in the order of users and time; each (m,).

    Attributes:
        user: id.
        number: place among the user's events, from 0: so many came before it.
        micros: its time, in microseconds since 1970.
        fate: place in FATE_NAMES.
    """

    user: Ints
    number: Ints
    micros: Ints
    fate: Ints


def join_days(spec: LogSpec, ids: Ints) -> Ints:
    """Return the number of the data date on which each user joins, (n,); 0: was there from the first on."""
    drawn = uniforms(spec.seed, "join", ids, 1)[:, 0]
    ends = spec.new_users * np.arange(1, spec.days)
    day = 1 + np.searchsorted(ends, drawn, side="right")
    return np.where(day < spec.days, day, 0)


def sessions(spec: LogSpec, ids: Ints, day: int) -> tuple[NDArray[np.bool_], Ints]:
    """Return whether each user has a session on a data date, and how many sessions came before, (n,) each.

    Args:
        spec: the log.
        ids: users.
        day: number of the data date, from 0.
    """
    cycle_days, offset = _cycles(spec, ids)
    own_day = day - join_days(spec, ids) + offset  # counted from the begin of the user's first cycle
    cycle = np.ceil((own_day + 1) / cycle_days).astype(np.int64) - 1
    is_active = (own_day >= offset) & (_session_days(spec, ids, cycle, cycle_days) == own_day)
    came_before_joining = _session_days(spec, ids, np.zeros_like(cycle), cycle_days) < offset
    return is_active, cycle - came_before_joining


def _cycles(spec: LogSpec, ids: Ints) -> tuple[Floats, Ints]:
    """Return days per cycle, and how many days of the first cycle are over when a user joins."""
    pace, start = uniforms(spec.seed, "pace", ids, 2).T
    cycle_days = 1 / (spec.sessions_per_day * (2 - BUSIEST + 2 * (BUSIEST - 1) * pace))
    return cycle_days, np.floor(start * cycle_days).astype(np.int64)


def _session_days(spec: LogSpec, ids: Ints, cycle: Ints, cycle_days: Floats) -> Ints:
    within = uniforms_at(spec.seed, "session", ids, cycle) * (cycle_days - 1)
    days: Ints = np.floor(cycle * cycle_days + within).astype(np.int64)
    return days


def to_visits(spec: LogSpec, ids: Ints, day: int, days_late: int) -> Visits:
    """Return the events of a data date whose rows are delivered so many days later.

    Args:
        spec: the log.
        ids: users, ascending.
        day: number of the data date of the events, from 0.
        days_late: 0: rows in the date's own file.
    """
    is_active, sessions_before = sessions(spec, ids, day)
    user = np.repeat(ids[is_active], spec.per_active_day)
    within = np.tile(np.arange(spec.per_active_day), int(is_active.sum()))
    session = np.repeat(sessions_before[is_active], spec.per_active_day)
    number = session * spec.per_active_day + within
    fate, late = _fates(spec, user, number)
    is_possible = day + late < spec.days  # what would come after the last file is on time
    fate, late = np.where(is_possible, fate, SOUND), np.where(is_possible, late, 0)
    kept = late == days_late
    micros = _begin_micros(spec, user, session, day) + within * SECONDS_APART * 1_000_000
    return Visits(*(values[kept] for values in (user, number, micros, fate)))


def _fates(spec: LogSpec, user: Ints, number: Ints) -> tuple[Ints, Ints]:
    """Return the fate of each event, and how many days late its row is."""
    drawn = uniforms_at(spec.seed, "fate", user, number)
    which = uniforms_at(spec.seed, "fault", user, number)
    broken = NO_USER + np.floor(which * (len(FATES) - NO_USER)).astype(np.int64)
    days_late = 1 + np.floor(which * LATEST_DAYS).astype(np.int64)
    ends = np.cumsum([spec.broken, spec.late, spec.duplicates])
    fate = np.select([drawn < end for end in ends], [broken, LATE, DUPLICATE], SOUND)
    return fate, np.where(fate == LATE, days_late, 0)


def _begin_micros(spec: LogSpec, user: Ints, session: Ints, day: int) -> Any:
    """Return when sessions begin: anywhere in the date, which may have 23 or 25 hours, but wholly in it."""
    midnight, next_midnight = (_midnight(spec, day + more) for more in (0, 1))
    room = (next_midnight - midnight).total_seconds() - spec.per_active_day * SECONDS_APART
    seconds = uniforms_at(spec.seed, "time", user, session) * room
    return int(midnight.timestamp()) * 1_000_000 + np.floor(seconds * 1_000_000).astype(np.int64)


def _midnight(spec: LogSpec, day: int) -> datetime:
    begin = datetime.combine(spec.first_date + timedelta(days=day), datetime.min.time())
    return begin.replace(tzinfo=ZoneInfo(spec.time_zone)).astimezone(UTC)
