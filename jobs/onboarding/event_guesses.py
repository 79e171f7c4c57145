"""What the columns of a log probably are: user, item, time, what users did, and context."""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, log10
from statistics import median
from typing import Any, Literal

from core.config_model import EntityName
from core.expressions import RESERVED
from jobs.onboarding import names
from jobs.onboarding.facts import MOST_UNREADABLE, TRUE_TEXTS, Column, Times
from jobs.onboarding.names import our_name, quoted, text_constant, words
from jobs.onboarding.samples import Sample
from quality.verdicts import percent

MOST_CONTEXT, MOST_BEHAVIOURS, MOST_ACTIONS = 12, 12, 10
FEW_VALUES = 200
LEAST_SCORE = 1.5
"""Of a column that may be an id: a word of users or items in its name, or values of the attributes' key."""
LEAST_IDS = 20
"""Different values of a column that is taken for ids though neither its name nor a file says so."""


@dataclass(frozen=True)
class Guess:
    """A column of ours: its expression, its type and why."""

    name: str
    expr: str
    type: str
    reason: str


@dataclass(frozen=True)
class TimeGuess:
    """The column that says when an event was."""

    column: Column
    times: Times
    reason: str


@dataclass(frozen=True)
class ContextGuess(Guess):
    """A column of the impression, and its most frequent value, for which lists are made."""

    usual: Any = None


@dataclass(frozen=True)
class BehaviourGuess:
    """What a user did with an impression.

    Attributes:
        mean: of its numbers; of a binary behaviour its share of ones.
        middle: of numbers and durations: the value that a label asks for at least.
    """

    name: str
    expr: str
    kind: Literal["binary", "seconds", "number"]
    reason: str
    mean: float
    unit: str = "s"
    range: tuple[float, float] | None = None
    decimals: int = 3
    middle: float = 0.0
    is_shown: bool = False

    @property
    def is_wanted(self) -> bool:
        """Whether users should do it; an impression or a complaint is no aim."""
        return not self.is_shown and not set(words(self.name)) & names.UNWANTED


@dataclass
class EventGuesses:
    """All guesses about a log; None: nothing in it looks like one."""

    user: Column | None = None
    item: Column | None = None
    time: TimeGuess | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    event_id: list[str] = field(default_factory=list)
    context: list[ContextGuess] = field(default_factory=list)
    behaviours: list[BehaviourGuess] = field(default_factory=list)
    unused: list[tuple[str, str]] = field(default_factory=list)


def guess_events(
    columns: Sequence[Column],
    samples: Sequence[Sample],
    keys: Mapping[EntityName, Column | None],
    first_taken: Collection[str] = (),
) -> EventGuesses:
    """Guess what each column of a log is.

    Args:
        columns: of the log.
        samples: the rows that they were made of.
        keys: "user" and "item" -> key of the attribute file, where there is one.
        first_taken: names that columns of ours must not have.
    """
    found = EventGuesses()
    found.time = _time(columns)
    used = {found.time.column.name} if found.time else set()
    of_entities: tuple[tuple[EntityName, Mapping[str, int]], ...] = (
        ("user", names.USER),
        ("item", names.ITEM),
    )
    for entity, scores in of_entities:
        column, reason = _key(columns, scores, keys.get(entity), used, entity)
        setattr(found, entity, column)
        found.reasons[entity] = reason
        used |= {column.name} if column else set()
    for entity, _ in of_entities:
        if (
            getattr(found, entity) is None
            and len(used) > 1
            and (other := _like_ids(columns, used)) is not None
        ):
            setattr(found, entity, other)
            found.reasons[entity] += (
                f"; this has most different values, {other.distinct:,}, of what could be one: check it"
            )
            used |= {other.name}
    found.event_id, found.reasons["event_id"] = _event_id(columns, found, used)
    used |= set(found.event_id)
    rest = [column for column in columns if column.name not in used]
    taken = {*RESERVED, *first_taken}
    for column in rest:
        _sort(column, found, samples, taken)
    return found


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


def _time(columns: Sequence[Column]) -> TimeGuess | None:
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


def _key(
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


def _like_ids(columns: Sequence[Column], used: Collection[str]) -> Column | None:
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


def _event_id(columns: Sequence[Column], found: EventGuesses, used: Collection[str]) -> tuple[list[str], str]:
    for column in columns:
        spelled = words(column.name)
        is_named = bool(names.EVENT_ID & set(spelled)) or spelled == ["id"]
        if is_named and column.is_unique and column.kind in ("int", "text") and column.name not in used:
            return [column.name], "each sampled row has a value of its own"
    parts = [found.user, found.item, found.time.column if found.time else None]
    chosen = [column.name for column in parts if column is not None]
    return chosen, "no column is a number of the event, so a user, an item and a time make one"


# --- behaviours and context ---------------------------------------------------------------------


def _sort(column: Column, found: EventGuesses, samples: Sequence[Sample], taken: set[str]) -> None:
    """Put a column among behaviours, context or what is not used."""
    made = _behaviours(column, taken) if len(found.behaviours) < MOST_BEHAVIOURS else []
    if made and (made[0].kind == "binary" or not _owner(column, found, samples)):
        found.behaviours += made
        stems = {behaviour.name.removeprefix("is_") for behaviour in made}  # features go by them
        taken |= {f"{start}{stem}" for stem in stems for start in ("", "is_")}
        return
    if reason := _why_unused(column, found, samples):
        found.unused.append((column.name, reason))
        return
    name = our_name(column.name, taken)
    taken.add(name)
    found.context.append(_context(column, name))


def _behaviours(column: Column, taken: Collection[str]) -> list[BehaviourGuess]:
    spelled = set(words(column.name))
    if column.is_flag and not spelled & names.STATE:
        is_constant = column.distinct == 1 and not (spelled & names.ACTIONS or "is" in spelled)
        return [] if is_constant else [_flag(column, taken)]
    if column.kind == "text" and 2 <= column.distinct <= MOST_ACTIONS:
        actions = {value: set(words(str(value))) | {str(value).lower()} for value in column.counts}
        if any(each & names.ACTIONS for each in actions.values()):
            return _actions(column, actions, taken)
    if column.kind in ("int", "float") and column.distinct > 1 and column.times is None:
        is_positive = min(column.numbers) >= 0
        if spelled & names.DURATION and is_positive:
            return [_duration(column, taken)]
        if spelled & names.RATING or (spelled & names.AMOUNT and is_positive):
            return [_number(column, taken)]
    return []


def _flag(column: Column, taken: Collection[str]) -> BehaviourGuess:
    mean, expr = sum(column.numbers) / len(column.numbers), quoted(column.name)
    if column.true_text is not None:
        yes, no = text_constant(column.true_text), text_constant(TRUE_TEXTS[column.true_text])
        nothing = f" OR {expr} IS NULL" if _is_often_null(column) else ""
        expr = f"CASE WHEN lower({expr}) = {yes} THEN 1 WHEN lower({expr}) = {no}{nothing} THEN 0 END"
    else:
        expr = _filled(column, "false" if column.kind == "bool" else "0")
    name = our_name(column.name, taken)
    what = "yes and no, or true and false" if column.kind == "bool" else "0 and 1"
    reason = f"{what}, {percent(mean)} of them 1{_on_nulls(column)}"
    return BehaviourGuess(name, expr, "binary", reason, mean * (1 - column.null_share))


def _is_often_null(column: Column) -> bool:
    return column.null_share > MOST_UNREADABLE


def _filled(column: Column, nothing: str) -> str:
    """Return a column's expression; nulls, where there are many, say that nothing was done."""
    if not _is_often_null(column):
        return column.expr
    return f"coalesce({column.expr}, {text_constant(nothing) if column.type == 'text' else nothing})"


def _on_nulls(column: Column) -> str:
    share = percent(column.null_share)
    return f"; {share} have none, which counts as 0" if _is_often_null(column) else ""


def _actions(column: Column, actions: Mapping[Any, set[str]], taken: Collection[str]) -> list[BehaviourGuess]:
    made: list[BehaviourGuess] = []
    for value, spelled in actions.items():
        share = column.counts[value] / column.rows
        name = our_name(f"is_{'_'.join(words(str(value))) or 'action'}", {*taken, *(b.name for b in made)})
        equal = f"{quoted(column.name)} = {text_constant(str(value))}"
        made.append(
            BehaviourGuess(
                name,
                f"CASE WHEN {equal} THEN 1 WHEN {quoted(column.name)} IS NOT NULL THEN 0 END",
                "binary",
                f"{column.name} names what was done, and {percent(share)} of the rows say {value}",
                share,
                is_shown=bool(spelled & names.SHOWN),
            )
        )
    return made


def _duration(column: Column, taken: Collection[str]) -> BehaviourGuess:
    spelled = words(column.name)
    unit = next((names.UNITS[word] for word in reversed(spelled) if word in names.UNITS), None)
    typical = median([number for number in column.numbers if number > 0] or [0.0])
    reason = f"a name of a duration in {unit}, as its ending says"
    if unit is None:
        unit = "ms" if typical > 1_000 else "s"
        reason = f"a name of a duration; the usual {typical:g} is plausible in {unit}"
    kept = [word for word in spelled if word not in names.UNITS and word != "duration"] or ["duration"]
    scale = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}[unit]
    name = our_name(f"{'_'.join(kept)}_seconds".replace("time_", "", 1), taken)
    mean = scale * sum(column.numbers) / len(column.numbers)
    middle = round(scale * typical, 1) or 1.0
    return BehaviourGuess(
        name, _filled(column, "0"), "seconds", reason + _on_nulls(column), mean, unit=unit, middle=middle
    )  # fmt: skip


def _number(column: Column, taken: Collection[str]) -> BehaviourGuess:
    low, high = min(column.numbers), max(column.numbers)
    mean, is_rating = sum(column.numbers) / len(column.numbers), column.distinct <= 101 and high <= 100
    top = float(ceil(high)) if is_rating else 10.0 ** ceil(log10(high + 1))
    least = float(floor(low)) if is_rating else 0.0
    bounds = (min(least, 0.0) if _is_often_null(column) else least, top)
    values = sorted(set(column.numbers))
    rated = {each: sum(number >= each for number in column.numbers) / len(column.numbers) for each in values}
    middle = min(values[1:], key=lambda each: abs(rated[each] - 0.4))
    seen = f"{low:g} .. {high:g} in the sample; rows outside of the range go to quarantine"
    decimals = min(column.decimals, 6)
    name, reason = our_name(column.name, taken), f"its name; {seen}{_on_nulls(column)}"
    return BehaviourGuess(
        name, _filled(column, "0"), "number", reason, mean, range=bounds, decimals=decimals, middle=middle
    )


def _why_unused(column: Column, found: EventGuesses, samples: Sequence[Sample]) -> str | None:
    """Return why a column is no context; None if it is."""
    owner = _owner(column, found, samples) or ""
    rules: tuple[tuple[bool, str], ...] = (
        (column.kind == "nested", "a list or a structure"),
        (column.kind == "empty", "no value in the sample"),
        (column.distinct == 1, f"always {column.samples[0] if column.values else ''}"),
        (column.is_time, "another time or date"),
        (
            bool(owner),
            f"one value per {owner}: an attribute; deliver it in a file of {owner}s, since the context of "
            "lists is the same for all",
        ),
        (column.distinct > FEW_VALUES, f"{column.distinct:,} different values in the sample"),
        (len(found.context) >= MOST_CONTEXT, f"{MOST_CONTEXT} columns are enough to begin with"),
    )
    return next((reason for holds, reason in rules if holds), None)


def _owner(column: Column, found: EventGuesses, samples: Sequence[Sample]) -> str | None:
    """Return the entity that a column describes; None if it describes the event."""
    if not column.values or column.counts.most_common(1)[0][1] > 0.8 * len(column.values):
        return None  # nearly always the same value, for whatever key
    for entity, key in (("item", found.item), ("user", found.user)):
        if key is not None and _belongs_to(column.name, key.name, samples):
            return entity
    return None


def _belongs_to(column: str, key: str, samples: Sequence[Sample]) -> bool:
    """Return whether rows of the same key have the same value, where a key has several rows."""
    values: defaultdict[Any, list[Any]] = defaultdict(list)
    for sample in samples:
        for owner, value in zip(sample.columns.get(key, ()), sample.columns.get(column, ()), strict=False):
            values[owner].append(value)
    several = [each for each in values.values() if len(each) > 1]
    return len(several) >= 20 and sum(len(set(each)) == 1 for each in several) >= 0.98 * len(several)


def _context(column: Column, name: str) -> ContextGuess:
    reason = f"{column.distinct} different values, {', '.join(column.samples)} most often"
    usual = column.counts.most_common(1)[0][0]
    if column.kind == "int":
        return ContextGuess(name, column.expr, "int", reason, int(usual))
    if column.kind == "float":
        return ContextGuess(name, column.expr, "double", reason, float(str(usual).replace(",", ".")))
    if column.kind == "bool" and column.type != "text":
        return ContextGuess(name, column.expr, "int", reason, int(usual))
    return ContextGuess(name, column.expr, "string", reason, str(usual))
