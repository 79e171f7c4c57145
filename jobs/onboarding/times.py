"""Values of a column as times: ISO 8601, numbers since 1970, and other spellings."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from core.source import TimeUnit
from jobs.onboarding.samples import MOST_UNREADABLE

ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d)?)(\.\d+)?\s?(Z|UTC|[+-]\d\d:?\d\d)?", re.IGNORECASE
)
_EPOCHS: tuple[tuple[TimeUnit, int], ...] = (("s", 1), ("ms", 1_000), ("us", 1_000_000))
_FIRST, _LAST = 946_684_800, 4_102_444_800  # 2000-01-01 .. 2100-01-01
_FIRST_OF_NAMED = 31_536_000  # 1971-01-01
_WRITTEN = (  # pattern of the text, of Python and of Spark
    (r"\d{14}", "%Y%m%d%H%M%S", "yyyyMMddHHmmss"),
    (r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d", "%Y/%m/%d %H:%M:%S", "yyyy/MM/dd HH:mm:ss"),
    (r"\d{4}/\d\d/\d\d \d\d:\d\d", "%Y/%m/%d %H:%M", "yyyy/MM/dd HH:mm"),
    (r"\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d", "%d.%m.%Y %H:%M:%S", "dd.MM.yyyy HH:mm:ss"),
    (r"\d\d\.\d\d\.\d{4} \d\d:\d\d", "%d.%m.%Y %H:%M", "dd.MM.yyyy HH:mm"),
    (r"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d", "%d/%m/%Y %H:%M:%S", "dd/MM/yyyy HH:mm:ss"),
    (r"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d", "%m/%d/%Y %H:%M:%S", "MM/dd/yyyy HH:mm:ss"),
    (r"\d\d/\d\d/\d{4} \d\d:\d\d", "%d/%m/%Y %H:%M", "dd/MM/yyyy HH:mm"),
    (r"\d\d/\d\d/\d{4} \d\d:\d\d", "%m/%d/%Y %H:%M", "MM/dd/yyyy HH:mm"),
)


@dataclass(frozen=True)
class Times:
    """The values of a column as times.

    Attributes:
        how: in words, for the comment.
        has_zone: whether the values are instants; else they are of an unknown zone.
        unit: of numbers since 1970.
        written: Spark's format of text that is no ISO 8601.
        values: readable values as UTC, or as if they were.
    """

    how: str
    has_zone: bool
    values: Sequence[datetime]
    unit: TimeUnit | None = None
    written: str | None = None


def typed_times(kind: str, values: Sequence[datetime]) -> Times:
    """Return values of a type of Arrow that is a timestamp."""
    has_zone = "tz=" in kind
    read = [value.astimezone(UTC) if has_zone else value.replace(tzinfo=UTC) for value in values]
    return Times(f"a {kind}", has_zone, read)


def iso_times(values: Sequence[str]) -> Times:
    """Return texts of ISO 8601."""
    found = [match for value in values if (match := ISO.fullmatch(value))]
    zones = sum(match[4] is not None for match in found)
    how = "ISO 8601 with a zone" if zones else "ISO 8601 without a zone"
    return Times(how, zones > len(found) / 2, [_iso(match) for match in found])


def epoch_times(numbers: Sequence[float], count: int, is_named: bool) -> Times | None:
    """Return numbers since 1970, if nearly all of so many values are of years up to 2099.

    Args:
        numbers: the values.
        count: of all values of the column.
        is_named: whether the column is called a time: its years may begin with 1971. Others begin with
            2000, since numbers of nine digits are ids, too.
    """
    first = _FIRST_OF_NAMED if is_named else _FIRST
    for unit, per_second in _EPOCHS:
        inside = [each for number in numbers if first <= (each := number / per_second) < _LAST]
        if len(inside) >= (1 - MOST_UNREADABLE) * count:
            read = [datetime.fromtimestamp(each, UTC) for each in inside]
            return Times(f"{unit} since 1970", True, read, unit=unit)
    return None


def written_times(values: Sequence[Any]) -> Times | None:
    """Return values in one of the spellings that are no ISO 8601, if nearly all of them are."""
    first = [str(value) for value in values[:20]]
    for pattern, form, of_spark in _WRITTEN:
        if 2 * sum(bool(re.fullmatch(pattern, each)) for each in first) < len(first):
            continue  # most columns are no times, and some are long
        texts = [str(value) for value in values if re.fullmatch(pattern, str(value))]
        if len(texts) < (1 - MOST_UNREADABLE) * len(values):
            continue
        read = [day for text in texts if (day := _parsed(text, form)) is not None]
        if len(read) >= (1 - MOST_UNREADABLE) * len(texts):
            return Times(f"text as {of_spark}", False, read, written=of_spark)
    return None


def _iso(match: re.Match[str]) -> datetime:
    try:
        local = datetime.fromisoformat(f"{match[1]} {match[2]}").replace(tzinfo=UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC) + timedelta(days=1)
    zone = (match[4] or "Z").upper()
    if zone in ("Z", "UTC"):
        return local
    sign = -1 if zone[0] == "+" else 1
    return local + sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))


def _parsed(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        return None
