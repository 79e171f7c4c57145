"""Which columns of a log probably say what users did: 0 and 1, names of actions, durations, ratings."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import ceil, floor, log10
from statistics import median
from typing import Any, Literal

from jobs.onboarding import names
from jobs.onboarding.facts import TRUE_TEXTS, Column
from jobs.onboarding.names import our_name, quoted, text_constant, words
from jobs.onboarding.samples import MOST_UNREADABLE
from quality.verdicts import percent

MOST_ACTIONS = 10


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


def guess_behaviours(column: Column, taken: Collection[str]) -> list[BehaviourGuess]:
    """Return the behaviours that a column probably holds; none if it holds no behaviour."""
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
