"""Which columns of a log probably say who, what and when: ids of users and items, and the time."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import log10

from jobs.onboarding import names
from jobs.onboarding.facts import Column
from jobs.onboarding.names import words
from jobs.onboarding.samples import MOST_UNREADABLE
from jobs.onboarding.times import Times

FEW_VALUES = 200
LEAST_SCORE = 1.5
"""Of a column that may be an id: a word of users or items in its name, or values of the attributes' key."""
LEAST_IDS = 20
"""Different values of a column that is taken for ids though neither its name nor a file says so."""


@dataclass(frozen=True)
class TimeGuess:
    """The column that says when an event was."""

    column: Column
    times: Times
    reason: str


def guess_time(columns: Sequence[Column]) -> TimeGuess | None:
    """Return the column that is most likely the time of events; None if there is none."""
    scored = []
    for column in columns:
        if (times := column.times) is None:
            continue
        score = max((names.TIME.get(word, 0) for word in words(column.name)), default=0)
        spread = len(set(times.values)) / max(1, len(times.values))
        scored.append((score + spread - 2 * column.null_share, column, times))
    if not scored:
        return None
    _, column, times = max(scored, key=lambda each: each[0])
    others = [each.name for _, each, _ in scored if each is not column]
    more = f"; {', '.join(others)} would be another" if others else ""
    example = next(value for value in map(str, column.values) if re.search("[0-9]", value))
    return TimeGuess(column, times, f"{times.how}, {example} among them{more}")


def guess_key(
    columns: Sequence[Column],
    scores: Mapping[str, int],
    key: Column | None,
    used: Collection[str],
    entity: str,
) -> tuple[Column | None, str]:
    """Return the column of an entity's id, and why: its values are keys of the attributes, or its name."""
    scored: list[tuple[float, Column, str]] = []
    for column in columns:
        if column.name in used or column.kind not in ("int", "text") or column.distinct < 2:
            continue
        spelled = words(column.name)
        is_id = bool({"id", "uid", "key", "no", "nr", "code"} & set(spelled))
        by_name = max((scores.get(word, 0) for word in spelled), default=0)
        score = (
            by_name + is_id - 0.5 * max(0, len(spelled) - 2) + log10(column.distinct) / 5 if by_name else 0.0
        )
        reason = f"its name, and {column.distinct:,} different values in the sample"
        if key is not None:
            share = shares_of_values(column, key)
            same = column.name.lower() == key.name.lower()
            is_key = column.distinct > FEW_VALUES or (column.kind == "text" and share > 1 - MOST_UNREADABLE)
            if share > 0 and (same or by_name or is_key):  # few numbers are those of many keys by chance
                score += 10 * share + 5 * same
                reason = f"its values are those of {key.name} in the file of {entity}s"
        if score >= LEAST_SCORE:
            scored.append((score, column, reason))
    if not scored:
        return None, f"no name looks like {'a' if entity == 'user' else 'an'} {entity} id"
    best = max(scored, key=lambda each: (each[0], each[1].distinct))
    others = [each.name for score, each, _ in scored if each is not best[1] and score > best[0] / 2]
    return best[1], best[2] + (f"; {', '.join(others)} would be another" if others else "")


def like_ids(columns: Sequence[Column], used: Collection[str]) -> Column | None:
    """Return the column that looks most like ids: many values, each in several rows, and no measure."""
    found = [
        column
        for column in columns
        if column.kind in ("int", "text")
        and column.name not in used
        and not column.is_time
        and LEAST_IDS <= column.distinct <= len(column.values) / 2
        and not {*names.DURATION, *names.RATING, *names.AMOUNT} & set(words(column.name))
    ]
    return max(found, key=lambda column: column.distinct, default=None)


def id_type(column: Column) -> str:
    """Return the type of an id: a bigint where all values are whole numbers without leading zeros."""
    is_padded = any(
        str(value).lstrip("+-").startswith("0") and len(str(value)) > 1 for value in column.counts
    )
    return "bigint" if column.kind == "int" and not is_padded else "string"


def shares_of_values(column: Column, key: Column) -> float:
    """Return the share of a column's rows whose value is one of the key's."""
    values = set(map(str, key.counts))
    return sum(n for value, n in column.counts.items() if str(value) in values) / max(1, len(column.values))
