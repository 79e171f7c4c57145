"""The time zone in which the days of a log begin, from the dates of its files and the times in them."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

ZONES = (
    *("UTC", "Europe/London", "Europe/Berlin", "Europe/Athens", "Europe/Istanbul", "Europe/Moscow"),
    *("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Sao_Paulo"),
    *("America/Toronto", "America/Mexico_City", "America/Bogota", "America/Halifax", "America/Anchorage"),
    *("Asia/Shanghai", "Asia/Tokyo", "Asia/Kolkata", "Asia/Dubai", "Asia/Bangkok", "Asia/Karachi"),
    *("Asia/Dhaka", "Asia/Tashkent", "Australia/Sydney", "Australia/Perth", "Pacific/Auckland"),
    *("Pacific/Honolulu", "Africa/Cairo", "Africa/Johannesburg"),
)
"""One per offset and rule of daylight saving; of equals the first is taken."""
ALIKE = 0.002
"""Difference of shares that says nothing: late and broken rows."""


class ZoneGuess(NamedTuple):
    """A time zone, the share of times that are of their file's date in it and in UTC, and others that fit."""

    name: str
    share: float
    in_utc: float
    others: tuple[str, ...]


def guess_zone(times: Mapping[date, Sequence[datetime]]) -> ZoneGuess:
    """Return the zone in which most times are of the date of their file, UTC where it is as good as any.

    Args:
        times: date that a file's name spells -> times in it, as UTC.
    """
    shares = {zone: _share(times, ZoneInfo(zone)) for zone in ZONES}
    best = max(shares.values())
    name, *others = (zone for zone in ZONES if shares[zone] >= best - ALIKE)
    return ZoneGuess(name, shares[name], shares["UTC"], tuple(others))


def _share(times: Mapping[date, Sequence[datetime]], zone: ZoneInfo) -> float:
    total = sum(map(len, times.values()))
    own = sum(each.astimezone(zone).date() == day for day, moments in times.items() for each in moments)
    return own / max(1, total)
