"""Audits: what only shows across days and tables. Counts in, results of rules out.

Suites look at the rows of one table. Audits compare the events of a data date with the days before, and with
the tables of users and items; those of lists compare what was published with what users have already met.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from core.schema import Audits
from quality.verdicts import Outcome, RuleResult, percent


@dataclass(frozen=True)
class EventCounts:
    """Events of one data date.

    Attributes:
        events: all of them.
        unknown_users: events whose user has no row in `users`; None: the data set has no attributes of users.
        unknown_items: likewise of items.
    """

    events: int
    unknown_users: int | None
    unknown_items: int | None


@dataclass(frozen=True)
class ListCounts:
    """Published lists of one name and data date.

    Attributes:
        name: of the list.
        lists: users with a list.
        top_item: the item that is on top of most lists; of equals the first by id.
        lists_with_top_item: lists that it is on top of.
        listed: rows of all lists.
        seen_before: rows whose item the user had an event with, on the data date or in the
            `audits.days_before` days before.
    """

    name: str
    lists: int
    top_item: str
    lists_with_top_item: int
    listed: int
    seen_before: int


def audit_events(
    data_date: date, counts: Mapping[date, EventCounts], rules: Audits
) -> tuple[RuleResult, ...]:
    """Return the results of all audits of one data date.

    Args:
        data_date: the day that is audited.
        counts: of this day and of `audits.days_before` days before; a day without events may be missing.
        rules: thresholds.
    """
    found = counts.get(data_date, EventCounts(0, 0, 0))
    before = [
        counts[day].events
        for back in range(1, rules.days_before + 1)
        if (day := data_date - timedelta(days=back)) in counts
    ]
    return (
        _volume(found.events, before, rules),
        *_known("user", found.events, found.unknown_users, rules.most_unknown_share),
        *_known("item", found.events, found.unknown_items, rules.most_unknown_share),
    )


def list_warnings(counts: ListCounts, rules: Audits) -> tuple[str, ...]:
    """Return what is odd about a night's lists, as sentences; nothing of it blocks the night."""
    warnings = []
    if counts.lists_with_top_item > rules.most_same_top_share * counts.lists:
        share = percent(counts.lists_with_top_item / counts.lists)
        warnings.append(
            f"list {counts.name}: item {counts.top_item} is on top of {share} of {counts.lists:,} lists, "
            f"more than {percent(rules.most_same_top_share)}"
        )
    if counts.seen_before > rules.most_seen_share * counts.listed:
        share = percent(counts.seen_before / counts.listed)
        warnings.append(
            f"list {counts.name}: {share} of {counts.listed:,} listed items were seen by their user in the "
            f"{rules.days_before + 1} days up to the data date, more than {percent(rules.most_seen_share)}"
        )
    return tuple(warnings)


def _volume(events: int, before: list[int], rules: Audits) -> RuleResult:
    """Events of the date against the mean of the days before that have any."""
    mean = sum(before) / len(before) if before else 0.0
    least = percent(rules.least_of_mean)
    return RuleResult(
        rule="volume_against_days_before",
        column="",
        expected=f"at least {least} of the mean of the {rules.days_before} days before",
        outcome="passed" if events >= rules.least_of_mean * mean else "failed",
        severity="critical",
        max_failing_share=0.0,
        rows=events,
        failing_rows=None,
        found=f"{events} events, mean before {mean:.0f}",
    )


def _known(
    entity: Literal["user", "item"], events: int, unknown: int | None, most: float
) -> tuple[RuleResult, ...]:
    """Events of ids without attributes: they are served, so few of them only warn."""
    if unknown is None:
        return ()
    outcome: Outcome = "failed" if unknown > most * events else "warned" if unknown else "passed"
    known = RuleResult(
        rule=f"{entity}_id_has_attributes",
        column=f"{entity}_id",
        expected=f"in {entity}s",
        outcome=outcome,
        severity="critical",
        max_failing_share=most,
        rows=events,
        failing_rows=unknown,
    )
    return (known,)
