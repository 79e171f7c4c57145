"""Audits of events and of lists: counts in, outcomes out."""

from dataclasses import replace
from datetime import date

import pytest

from core.schema import Audits
from quality.audits import EventCounts, ListCounts, audit_events, list_warnings

RULES = Audits(
    days_before=3,
    least_of_mean=0.1,
    most_unknown_share=0.5,
    most_same_top_share=0.5,
    most_seen_share=0.2,
)
TODAY = date(2022, 5, 8)
LISTS = ListCounts(name="home", lists=10, top_item="40", lists_with_top_item=5, listed=100, seen_before=20)


def events_by_day(*events: int) -> dict[date, EventCounts]:
    """Events of the days up to today, the last number today's; -1: a day without a partition."""
    days = [date(2022, 5, 9 - len(events) + place) for place in range(len(events))]
    return {day: EventCounts(count, 0, 0) for day, count in zip(days, events, strict=True) if count >= 0}


@pytest.mark.parametrize(
    ("events", "outcome", "found"),
    [
        ((100, 200, 300, 20), "passed", "20 events, mean before 200"),  # exactly a tenth
        ((100, 200, 300, 19), "failed", "19 events, mean before 200"),
        ((90_000, 100, 200, 300, 20), "passed", "20 events, mean before 200"),  # four days before: too old
        ((100, -1, 300, 20), "passed", "20 events, mean before 200"),  # of the days that there are
        ((100, 200, 300, -1), "failed", "0 events, mean before 200"),
        ((7,), "passed", "7 events, mean before 0"),  # the first day
    ],
)
def test_a_day_with_far_fewer_events_than_the_days_before_fails(
    events: tuple[int, ...], outcome: str, found: str
) -> None:
    volume = audit_events(TODAY, events_by_day(*events), RULES)[0]

    assert (volume.rule, volume.outcome, volume.observed) == ("volume_against_days_before", outcome, found)
    assert volume.threshold == "at least 10 % of the mean of the 3 days before"


def test_each_audit_blocks_where_it_fails() -> None:
    volume, of_users, of_items = audit_events(TODAY, {TODAY: EventCounts(100, 60, 60)}, RULES)

    assert (volume.severity, volume.max_failing_share) == ("critical", 0)
    assert {(each.severity, each.max_failing_share) for each in (of_users, of_items)} == {("critical", 0.5)}


def test_a_day_without_events_has_no_unknown_ids() -> None:
    volume, of_users, of_items = audit_events(TODAY, {}, RULES)

    assert [each.rows for each in (volume, of_users, of_items)] == [0, 0, 0]
    assert [of_users.failing_rows, of_items.failing_rows] == [0, 0]
    assert [of_users.outcome, of_items.outcome] == ["passed", "passed"]


@pytest.mark.parametrize(
    ("unknown_users", "unknown_items", "outcomes"),
    [
        (0, 0, ["passed", "passed"]),
        (1, 0, ["warned", "passed"]),
        (50, 50, ["warned", "warned"]),  # exactly half
        (0, 51, ["passed", "failed"]),
        (51, 0, ["failed", "passed"]),
    ],
)
def test_ids_without_attributes_warn_and_more_than_the_allowed_share_of_them_fails(
    unknown_users: int, unknown_items: int, outcomes: list[str]
) -> None:
    counts = {TODAY: EventCounts(100, unknown_users, unknown_items)}

    of_users, of_items = audit_events(TODAY, counts, RULES)[1:]

    assert [of_users.outcome, of_items.outcome] == outcomes
    assert [of_users.failing_rows, of_items.failing_rows] == [unknown_users, unknown_items]
    assert of_users.threshold == "in users, 50 % may fail"


def test_one_item_on_top_of_more_than_the_allowed_share_of_lists_is_a_warning() -> None:
    assert list_warnings(LISTS, RULES) == ()  # exactly half of the lists
    assert list_warnings(replace(LISTS, lists_with_top_item=6), RULES) == (
        "list home: item 40 is on top of 60 % of 10 lists, more than 50 %",
    )


def test_more_than_the_allowed_share_of_items_seen_before_is_a_warning() -> None:
    assert list_warnings(replace(LISTS, seen_before=21), RULES) == (
        "list home: 21 % of 100 listed items were seen by their user in the 4 days up to the data date, "
        "more than 20 %",
    )


def test_no_lists_are_no_reason_for_a_warning() -> None:
    assert list_warnings(ListCounts("home", 0, "", 0, 0, 0), RULES) == ()


def test_a_data_set_without_attributes_is_not_audited_for_them() -> None:
    results = audit_events(TODAY, {TODAY: EventCounts(100, None, 0)}, RULES)

    assert [result.rule for result in results] == ["volume_against_days_before", "item_id_has_attributes"]
