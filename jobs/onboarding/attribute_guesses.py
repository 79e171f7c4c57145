"""What the columns of a file of users or items probably are: the key, attributes, and what models see."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, log2

from core.config_model import EntityName
from jobs.onboarding import names
from jobs.onboarding.facts import Column
from jobs.onboarding.key_guesses import shares_of_values
from jobs.onboarding.names import our_name, words

FEW, MANY = 50, 1000
"""Different values: of a number that is a category, and of a vocabulary (`inputs.vocabulary_max_size`)."""
TOTALS = {"count", "cnt", "num", "total", "totals", "plays", "views", "likes", "clicks", "n", "reviews"}

MOST_DIFFERENT = {"|": None, ",": 0.8, ";": 0.8, " ": 0.3}
"""Separator of parts of a value -> most different parts per different value; "Doe, Jane" holds no parts."""


@dataclass(frozen=True)
class AttributeGuess:
    """An attribute, and how a model reads it.

    Attributes:
        name: with the entity before it.
        expr: over the file's columns.
        type: of ours.
        reason: why it is an attribute.
        categorical: options of the categorical input; None: it is dense.
        transform: of a dense input.
    """

    name: str
    expr: str
    type: str
    reason: str
    categorical: Mapping[str, int | str] | None = None
    transform: str = "identity"


@dataclass
class EntityGuesses:
    """All guesses about a file of users or items."""

    key: Column | None
    key_reason: str
    attributes: list[AttributeGuess] = field(default_factory=list)
    unused: list[tuple[str, str]] = field(default_factory=list)


def guess_entity(columns: Sequence[Column], log: Sequence[Column], entity: EntityName) -> EntityGuesses:
    """Guess the key of an attribute file, and what its other columns are.

    Args:
        columns: of the file.
        log: columns of events; the key is a column whose values are in one of them.
        entity: whose attributes.
    """
    key, reason = _key(columns, log, entity)
    found = EntityGuesses(key, reason)
    taken: set[str] = set()
    for column in columns:
        if key is not None and column.name == key.name:
            continue
        if why := _why_unused(column):
            found.unused.append((column.name, why))
            continue
        attribute = _attribute(column, entity, taken)
        taken.add(attribute.name)
        found.attributes.append(attribute)
    return found


def _key(columns: Sequence[Column], log: Sequence[Column], entity: EntityName) -> tuple[Column | None, str]:
    scores = names.USER if entity == "user" else names.ITEM
    scored = []
    for column in columns:
        if not column.is_unique or column.kind not in ("int", "text"):
            continue
        found = [
            (shares_of_values(each, column) + (each.name.lower() == column.name.lower()), each.name)
            for each in log
            if each.kind in ("int", "text") and each.distinct > 1
        ]
        share, partner = max(found, default=(0.0, ""))
        by_name = max((scores.get(word, 0) for word in words(column.name)), default=0)
        scored.append((10 * share + by_name, column, partner if share > 0 else ""))
    if not scored:
        return None, "no column has a value of its own in each row"
    _, best, partner = max(scored, key=lambda each: each[0])
    joined = f", and events have them in {partner}" if partner else ""
    return best, f"each row has a value of its own{joined}"


def _why_unused(column: Column) -> str | None:
    """Return why a column is no attribute; None if it is."""
    is_number = column.kind in ("int", "float") and not column.is_flag
    is_free = column.kind == "text" and column.distinct > MANY and column.distinct > 0.5 * len(column.values)
    for holds, reason in (
        (column.kind == "nested", "a list or a structure"),
        (column.kind == "empty", "no value in the sample"),
        (column.distinct == 1, f"always {column.samples[0] if column.values else ''}"),
        (column.is_time, f"a time or a date{_since(column)}"),
        (is_free, "nearly a value per row: a name or free text"),
        (
            is_number and bool(TOTALS & set(words(column.name))),
            "a total, which knows the future if it was counted over the whole period; else add it",
        ),
    ):
        if holds:
            return reason
    return None


def _since(column: Column) -> str:
    """Return how the source says that rows are known from this date on."""
    times = column.times
    if times is not None and times.written is not None:
        return ""
    kind = {"type": "date"} if times is None else {"type": "timestamp"}
    unit = {"unit": times.unit} if times is not None and times.unit is not None else {}
    mapping = ", ".join(f"{key}: {value}" for key, value in ({"from": column.expr} | kind | unit).items())
    return f"; if rows are known only from it on, such as accounts that open, set valid_from: {{{mapping}}}"


def _attribute(column: Column, entity: EntityName, taken: Collection[str]) -> AttributeGuess:
    name, expr = our_name(column.name, taken, prefix=f"{entity}_"), column.expr
    reason = f"{column.distinct:,} different values, such as {', '.join(column.samples)}"
    if column.leading_zeros:
        return AttributeGuess(name, expr, "string", f"{reason}; some begin with 0", _categorical(column))
    if column.unreadable:
        reason += f"; {column.unreadable[0]} is no number and becomes null, type string keeps it"
    if column.kind == "text" or (column.kind == "bool" and column.type == "text"):
        return AttributeGuess(name, expr, "string", reason, _categorical(column))
    if column.is_flag:
        return AttributeGuess(name, expr, "int", reason)
    whole = "int" if column.kind == "int" and max(map(abs, column.numbers)) < 2**31 else "bigint"
    if column.kind == "int" and (column.distinct <= FEW or "id" in words(column.name)):
        return AttributeGuess(name, expr, whole, reason, _categorical(column))
    is_wide = min(column.numbers) >= 0 and max(column.numbers) > 100
    return AttributeGuess(
        name, expr, whole if column.kind == "int" else "double", reason,
        transform="log1p" if is_wide else "identity",
    )  # fmt: skip


def _categorical(column: Column) -> dict[str, int | str]:
    """Return the options of a categorical input: a bag where values hold several parts, a hash for many."""
    for separator, most_different in MOST_DIFFERENT.items():
        parts = [str(value).split(separator) for value in column.counts]
        several = [each for each in parts if len(each) > 1]
        different = {part for each in parts for part in each}
        is_bag = most_different is None or len(different) < most_different * column.distinct
        if is_bag and len(several) >= 0.05 * len(parts):
            most = min(5, max(map(len, several)))
            return {**_sizes(len(different)), "split": separator, "max_values": most}
    return _sizes(column.distinct)


def _sizes(different: int) -> dict[str, int | str]:
    dim = 2 if different <= 4 else 4 if different <= FEW else 8
    return (
        {"hash_size": 2 ** min(17, ceil(log2(2 * different))), "dim": dim}
        if different > MANY
        else {"dim": dim}
    )
