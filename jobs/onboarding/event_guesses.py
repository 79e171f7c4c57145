"""What the columns of a log probably are: user, item, time, what users did, and context."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.config_model import EntityName
from core.expressions import RESERVED
from jobs.onboarding import names
from jobs.onboarding.behaviour_guesses import BehaviourGuess, guess_behaviours
from jobs.onboarding.facts import Column
from jobs.onboarding.key_guesses import FEW_VALUES, TimeGuess, guess_key, guess_time, like_ids
from jobs.onboarding.names import our_name, words
from jobs.onboarding.samples import Sample

MOST_CONTEXT = 12
MOST_BEHAVIOURS = 12


@dataclass(frozen=True)
class ContextGuess:
    """A column of the impression: its expression, its type, why, and its most frequent value.

    Lists are made for the most frequent values.
    """

    name: str
    expr: str
    type: str
    reason: str
    usual: Any


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
    found.time = guess_time(columns)
    used = {found.time.column.name} if found.time else set()
    of_entities: tuple[tuple[EntityName, Mapping[str, int]], ...] = (
        ("user", names.USER),
        ("item", names.ITEM),
    )
    for entity, scores in of_entities:
        column, reason = guess_key(columns, scores, keys.get(entity), used, entity)
        setattr(found, entity, column)
        found.reasons[entity] = reason
        used |= {column.name} if column else set()
    for entity, _ in of_entities:
        is_alone = getattr(found, entity) is None and len(used) > 1
        if is_alone and (other := like_ids(columns, used)) is not None:
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


def _event_id(columns: Sequence[Column], found: EventGuesses, used: Collection[str]) -> tuple[list[str], str]:
    for column in columns:
        spelled = words(column.name)
        is_named = bool(names.EVENT_ID & set(spelled)) or spelled == ["id"]
        if is_named and column.is_unique and column.kind in ("int", "text") and column.name not in used:
            return [column.name], "each sampled row has a value of its own"
    parts = [found.user, found.item, found.time.column if found.time else None]
    chosen = [column.name for column in parts if column is not None]
    return chosen, "no column is a number of the event, so a user, an item and a time make one"


def _sort(column: Column, found: EventGuesses, samples: Sequence[Sample], taken: set[str]) -> None:
    """Put a column among behaviours, context or what is not used."""
    made = guess_behaviours(column, taken) if len(found.behaviours) < MOST_BEHAVIOURS else []
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
