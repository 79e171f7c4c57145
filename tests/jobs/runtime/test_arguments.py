"""`--data-date` is a day or a range."""

from datetime import date

import pytest

from core.errors import ConfigError
from jobs.runtime.arguments import parse_dates


def test_a_day_is_a_range_of_one() -> None:
    assert parse_dates("2022-05-07") == (date(2022, 5, 7), date(2022, 5, 7))


def test_a_range_names_its_first_and_last_day() -> None:
    assert parse_dates("2022-04-24..2022-05-06") == (date(2022, 4, 24), date(2022, 5, 6))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("yesterday", "is no date; expected YYYY-MM-DD"),
        ("2022-02-30", "is no date"),
        ("2022-05-07..2022-05-01", "runs backwards"),
    ],
)
def test_anything_else_is_wrong_usage(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_dates(text)
