"""The time zone of a log is the one in which its rows are of the dates of their files."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from jobs.onboarding.zones import ZONES, guess_zone

SUMMER, WINTER = date(2024, 7, 3), date(2024, 1, 17)


def times_of(day: date, zone: str) -> list[datetime]:
    """Return a time per quarter of an hour of a day, as clocks of a zone count it."""
    start = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    return [(start + timedelta(minutes=15 * n)).astimezone(ZoneInfo("UTC")) for n in range(96)]


@pytest.mark.parametrize("zone", ZONES)
def test_all_times_of_two_seasons_are_of_their_dates_in_the_zone_that_is_guessed(zone: str) -> None:
    guess = guess_zone({day: times_of(day, zone) for day in (SUMMER, WINTER)})

    assert guess.share == 1
    assert zone in (guess.name, *guess.others)
    assert (guess.in_utc == 1) == (guess.name == "UTC")


def test_utc_is_taken_where_it_is_as_good_as_any() -> None:
    noon = {SUMMER: [datetime(2024, 7, 3, 12, tzinfo=ZoneInfo("UTC"))]}

    assert guess_zone(noon).name == "UTC"


def test_late_rows_do_not_change_the_zone() -> None:
    late = times_of(SUMMER - timedelta(days=1), "Asia/Tokyo")[:5]

    assert guess_zone({SUMMER: [*times_of(SUMMER, "Asia/Tokyo"), *late]}).name == "Asia/Tokyo"
