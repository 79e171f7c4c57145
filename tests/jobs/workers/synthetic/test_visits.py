"""Who comes when: each answer alone equals all of them taken in order."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.workers.synthetic.spec import LogSpec
from jobs.workers.synthetic.visits import DUPLICATE, LATE, NO_USER, join_days, sessions, to_visits

IDS = np.arange(300)
DAY = 86_400_000_000


def spec(**values: object) -> LogSpec:
    sizes = {"seed": 1, "events_per_day": 200, "days": 40, "users": 300, "items": 20}
    return LogSpec.model_validate({**sizes, **values})


@settings(max_examples=50)
@given(
    seed=st.integers(0, 2**32),
    events_per_day=st.integers(1, 800),
    new_users=st.floats(0, 0.02),
    per_active_day=st.sampled_from([5, 20]),
)
def test_sessions_of_a_date_are_those_counted_day_by_day(
    seed: int, events_per_day: int, new_users: float, per_active_day: int
) -> None:
    asked = spec(seed=seed, events_per_day=events_per_day, new_users=new_users, per_active_day=per_active_day)

    counted = np.zeros(len(IDS), dtype=int)
    for day in range(asked.days):
        is_active, before = sessions(asked, IDS, day)
        assert np.array_equal(before[is_active], counted[is_active])
        assert not is_active[join_days(asked, IDS) > day].any()
        counted += is_active


def test_a_date_has_about_as_many_events_as_asked_and_each_user_its_own_pace() -> None:
    asked = spec(users=20_000, events_per_day=10_000)
    ids = np.arange(asked.users)

    active = np.array([sessions(asked, ids, day)[0] for day in range(asked.days)])

    assert active.sum(1) * 5 == pytest.approx(np.full(asked.days, 10_000), rel=0.1)
    per_user = active.sum(0)
    assert (per_user.min(), per_user.max()) == (0, 8)  # 0.1 a day, times 0.2 to 1.8, over 40 days


def test_new_users_join_in_the_share_asked_for() -> None:
    asked = spec(users=20_000, new_users=0.01)

    joined = np.bincount(join_days(asked, np.arange(asked.users)), minlength=asked.days) / asked.users

    assert joined == pytest.approx([0.61, *[0.01] * 39], abs=0.01)


def test_fates_have_their_shares_and_late_rows_arrive_before_the_log_ends() -> None:
    asked = spec(users=20_000, events_per_day=20_000, days=6, late=0.3, duplicates=0.1, broken=0.2)
    ids = np.arange(asked.users)

    own = to_visits(asked, ids, 0, 0)
    late = [to_visits(asked, ids, 0, days) for days in (1, 2, 3)]

    events = len(own.user) + sum(len(v.user) for v in late)
    assert [len(v.user) / events for v in late] == pytest.approx([0.1] * 3, abs=0.01)
    assert all((v.fate == LATE).all() for v in late)
    assert (own.fate == DUPLICATE).sum() / events == pytest.approx(0.1, abs=0.01)
    assert (own.fate >= NO_USER).sum() / events == pytest.approx(0.2, abs=0.01)
    assert len(to_visits(asked, ids, 4, 2).user) == len(to_visits(asked, ids, 5, 1).user) == 0


def test_events_lie_in_their_date_where_it_has_23_hours() -> None:
    asked = spec(
        users=3000,
        events_per_day=3000,
        days=2,
        first_date=date(2024, 3, 30),
        time_zone="Europe/Berlin",
        per_active_day=5,
    )

    micros = to_visits(asked, np.arange(3000), 1, 0).micros

    begin, end = (
        datetime(2024, 3, day, tzinfo=ZoneInfo("Europe/Berlin")).timestamp() * 1e6 for day in (31, 31)
    )
    end += 23 / 24 * DAY
    assert begin <= micros.min() < begin + DAY / 24
    assert end - DAY / 24 < micros.max() < end
    assert len(np.unique(micros)) == len(micros)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"users": 10, "events_per_day": 200}, "need at least 73 users"),
        ({"new_users": 0.1}, "more than all users"),
        ({"time_zone": "Berlin"}, "time zone 'Berlin' is unknown"),
        ({"late": 0.5, "broken": 0.4, "duplicates": 0.2}, "expected at most 1"),
    ],
)
def test_an_impossible_log_is_refused_with_the_reason(values: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        spec(**values)
