"""Which days a training set holds, and which ones follow it."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.load import load_config
from core.schema import Config
from core.training_days import (
    baseline_date,
    date_range,
    evaluation_days,
    labelled_date,
    pinned_date,
    training_days,
)

CONFIG = load_config()
TRAINING = CONFIG.training  # anchor 2022-05-07, every 7 days, window of 8


def waiting(days: int) -> Config:
    """The configuration with one task whose labels are final some days later."""
    *others, last = CONFIG.tasks
    return CONFIG.model_copy(update={"tasks": (*others, last.model_copy(update={"matures_days": days}))})


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
    days = training_days(CONFIG, date(2022, 5, 9))

    assert (days[0], days[-1], len(days)) == (date(2022, 4, 29), date(2022, 5, 6), 8)
    assert training_days(CONFIG, date(2022, 5, 6)) == []


def test_what_follows_up_to_the_data_date_is_for_evaluation() -> None:
    assert evaluation_days(CONFIG, date(2022, 5, 8)) == [date(2022, 5, 7), date(2022, 5, 8)]
    assert evaluation_days(CONFIG, date(2022, 5, 6)) == []


def test_one_task_whose_labels_come_later_moves_all_days_back() -> None:
    night = date(2022, 5, 9)

    days = training_days(waiting(2), night)

    assert (days[0], days[-1], len(days)) == (date(2022, 4, 27), date(2022, 5, 4), 8)
    assert evaluation_days(waiting(2), night) == [date(2022, 5, day) for day in (5, 6, 7)]
    assert baseline_date(TRAINING, night) == date(2022, 5, 6)  # its labels end on 05-04, as those of the set


@given(
    wait=st.integers(0, 40),
    after_anchor=st.integers(-3, 60),
    every=st.integers(1, 9),
    window=st.integers(2, 30),
)
def test_what_a_night_learns_and_measures_has_final_labels(
    wait: int, after_anchor: int, every: int, window: int
) -> None:
    training = TRAINING.model_copy(update={"every_days": every, "window_days": window})
    config = waiting(wait).model_copy(update={"training": training})
    night = date.fromordinal(training.anchor.toordinal() + after_anchor)

    learnt, measured = training_days(config, night), evaluation_days(config, night)

    assert labelled_date(config.tasks, night).toordinal() == night.toordinal() - wait
    if after_anchor < 0:
        assert (learnt, measured, baseline_date(training, night)) == ([], [], None)
        return
    together = [*learnt, *measured]
    assert together == date_range(together[0], labelled_date(config.tasks, night))  # no gap, no overlap
    assert len(learnt) == window
    assert 1 <= len(measured) <= every
    pinned = pinned_date(training, night)
    assert pinned is not None
    assert learnt == training_days(config, pinned)  # and no label of it was open when it was pinned
    assert learnt[-1] < labelled_date(config.tasks, pinned)
    baseline = baseline_date(training, night)
    assert baseline is not None
    assert labelled_date(config.tasks, baseline) == learnt[-1]


def test_a_range_holds_both_ends() -> None:
    assert date_range(date(2024, 2, 28), date(2024, 3, 1)) == [
        date(2024, 2, 28),
        date(2024, 2, 29),
        date(2024, 3, 1),
    ]
