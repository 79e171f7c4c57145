"""Which days a training set holds, and which ones follow it."""

from datetime import date

import pytest

from core.load import load_config
from core.training_days import date_range, evaluation_days, pinned_date, training_days

TRAINING = load_config().training  # anchor 2022-05-07, every 7 days, window of 8


@pytest.mark.parametrize(
    ("data_date", "pinned"),
    [
        (date(2022, 5, 6), None),  # before the anchor
        (date(2022, 5, 7), date(2022, 5, 7)),
        (date(2022, 5, 8), date(2022, 5, 7)),
        (date(2022, 5, 13), date(2022, 5, 7)),
        (date(2022, 5, 14), date(2022, 5, 14)),
    ],
)
def test_a_training_set_is_pinned_on_the_anchor_and_every_seven_days(
    data_date: date, pinned: date | None
) -> None:
    assert pinned_date(TRAINING, data_date) == pinned


def test_a_training_set_ends_the_day_before_it_is_pinned() -> None:
    days = training_days(TRAINING, date(2022, 5, 9))

    assert (days[0], days[-1], len(days)) == (date(2022, 4, 29), date(2022, 5, 6), 8)
    assert training_days(TRAINING, date(2022, 5, 6)) == []


def test_what_follows_up_to_the_data_date_is_for_evaluation() -> None:
    assert evaluation_days(TRAINING, date(2022, 5, 8)) == [date(2022, 5, 7), date(2022, 5, 8)]
    assert evaluation_days(TRAINING, date(2022, 5, 6)) == []


def test_a_range_holds_both_ends() -> None:
    assert date_range(date(2024, 2, 28), date(2024, 3, 1)) == [
        date(2024, 2, 28),
        date(2024, 2, 29),
        date(2024, 3, 1),
    ]
