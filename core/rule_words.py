"""What a configured rule is called, and what it asks for, in words."""

from collections.abc import Iterable
from typing import Any

from core.schema import Expectation

TOO_LATE = "too_late"
"""Rule on events: an event is not earlier than its file's date by more than the horizon."""
COLUMN_ARGUMENTS = ("column", "column_A", "column_B", "column_list")


def rule_name(conf: Expectation) -> str:
    """Return a rule's name: the configured one, else its columns and the end of its type."""
    return conf.name or "_".join([*rule_columns(conf), _phrase(conf.type)])


def rule_columns(conf: Expectation) -> tuple[str, ...]:
    """Return the columns among a rule's arguments: `column`, `column_A` and `column_B`, or `column_list`."""
    values: Iterable[Any] = (conf.kwargs[name] for name in COLUMN_ARGUMENTS if name in conf.kwargs)
    return tuple(
        str(column) for value in values for column in (value if isinstance(value, list | tuple) else [value])
    )


def expected(conf: Expectation) -> str:
    """Return what the rule asks for in words; by default, its arguments."""
    arguments = {name: value for name, value in conf.kwargs.items() if name not in COLUMN_ARGUMENTS}
    phrase = _phrase(conf.type)
    if phrase.endswith("not_null"):
        return "not null"
    if phrase.endswith("in_set") and "value_set" in arguments:
        values = ", ".join(map(str, arguments["value_set"]))
        return f"{'not ' if phrase.startswith('not_') else ''}in {{{values}}}"
    if phrase.endswith("between"):
        measure = phrase.removesuffix("between").replace("_", " ").strip()
        return f"{measure} {_interval(arguments)}".strip()
    if phrase == "greater_than_b":
        return "the first at least the second" if arguments.get("or_equal") else "the first above the second"
    values = ", ".join(f"{name} {value}" for name, value in arguments.items())
    return f"{phrase.replace('_', ' ')} {values}".strip()


def _interval(arguments: dict[str, Any]) -> str:
    low, high = arguments.get("min_value"), arguments.get("max_value")
    above, below = arguments.get("strict_min"), arguments.get("strict_max")
    if high is None:
        return f"{'above' if above else 'at least'} {low}"
    if low is None:
        return f"{'below' if below else 'at most'} {high}"
    return f"in {'(' if above else '['}{low}, {high}{')' if below else ']'}"


def _phrase(type_: str) -> str:
    """Return the end of a rule's name: expect_column_values_to_not_be_null -> not_null."""
    phrase = type_.removeprefix("expect_")
    for start in ("column_pair_values_a_to_", "column_pair_values_", "column_values_", "column_"):
        phrase = phrase.removeprefix(start)
    return phrase.removeprefix("to_").removeprefix("be_").replace("not_be_", "not_").replace("_to_be_", "_")
