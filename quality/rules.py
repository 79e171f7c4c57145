"""A configured rule: as Great Expectations runs it, and in words."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from great_expectations.exceptions.exceptions import GreatExpectationsError
from great_expectations.expectations import expectation as gxe
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from pydantic.v1 import ValidationError

from core.errors import ConfigError
from core.schema import Expectation, Suite

OF_ROWS = (gxe.ColumnMapExpectation, gxe.ColumnPairMapExpectation, gxe.MulticolumnMapExpectation)
COLUMN_ARGUMENTS = ("column", "column_A", "column_B", "column_list")
INSTEAD = {  # arguments that Great Expectations has and its predicates do not carry
    "mostly": "it is a share of non-null rows; set max_failing_share, a share of all rows",
    "row_condition": "rules on values ignore nulls, so derive a column that is null elsewhere",
}


@dataclass(frozen=True)
class Rule:
    """A rule that is ready to run.

    Attributes:
        name: unique in its suite.
        columns: the columns that it reads.
        expected: what it asks for, in words.
        is_of_rows: whether it holds or not for each row (else: for the table as a whole).
        conf: as configured.
        gx: as Great Expectations runs it.
    """

    name: str
    columns: tuple[str, ...]
    expected: str
    is_of_rows: bool
    conf: Expectation
    gx: gxe.Expectation


def to_rules(table: str, suite: Suite) -> tuple[Rule, ...]:
    """Return the rules of a table's suite.

    Raises:
        ConfigError: a type or argument is unknown, a name is given twice, or a rule is not for suites.
    """
    rules = tuple(_to_rule(suite.file_of(table), number, conf) for number, conf in enumerate(suite.rules))
    names = [rule.name for rule in rules]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{suite.file_of(table)}: rules {twice} are named twice; set `name` on one of each")
    return rules


def _to_rule(file: str, number: int, conf: Expectation) -> Rule:
    where = f"{file}: rules.{number} ({conf.type})"
    if "unique" in conf.type:
        raise ConfigError(f"{where}: keys are checked at each commit, not by a suite; remove the rule")
    for argument, instead in INSTEAD.items():
        if argument in conf.kwargs:
            raise ConfigError(f"{where}: `{argument}` is not for suites; {instead}")
    columns = _columns(conf.kwargs)
    name = conf.name or "_".join([*columns, _phrase(conf.type)])
    try:
        gx = ExpectationConfiguration(
            type=conf.type, kwargs=dict(conf.kwargs), meta={"rule": name}
        ).to_domain_obj()
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise ConfigError(f"{where}: {' '.join(faults.split())}") from error
    except GreatExpectationsError as error:
        raise ConfigError(f"{where}: Great Expectations has no such rule; correct its spelling") from error
    is_of_rows = isinstance(gx, OF_ROWS)
    if conf.max_failing_share and not is_of_rows:
        raise ConfigError(
            f"{where}: it judges the table as a whole, so no share of rows can fail it; "
            "remove max_failing_share"
        )
    return Rule(name, columns, _expected(conf), is_of_rows, conf, gx)


def _columns(kwargs: dict[str, Any]) -> tuple[str, ...]:
    """Return the columns among a rule's arguments: `column`, `column_A` and `column_B`, or `column_list`."""
    values: Iterable[Any] = (kwargs[name] for name in COLUMN_ARGUMENTS if name in kwargs)
    return tuple(
        str(column) for value in values for column in (value if isinstance(value, list | tuple) else [value])
    )


def _phrase(type_: str) -> str:
    """Return the end of a rule's name: expect_column_values_to_not_be_null -> not_null."""
    phrase = type_.removeprefix("expect_")
    for start in ("column_pair_values_a_to_", "column_pair_values_", "column_values_", "column_"):
        phrase = phrase.removeprefix(start)
    return phrase.removeprefix("to_").removeprefix("be_").replace("not_be_", "not_").replace("_to_be_", "_")


def _expected(conf: Expectation) -> str:
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
