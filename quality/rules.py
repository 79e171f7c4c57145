"""A configured rule as Great Expectations runs it."""

from dataclasses import dataclass

from great_expectations.exceptions.exceptions import GreatExpectationsError
from great_expectations.expectations import expectation as gxe
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from pydantic.v1 import ValidationError

from core.errors import ConfigError
from core.rule_words import expected, rule_columns, rule_name
from core.schema import Expectation, Suite

OF_ROWS = (gxe.ColumnMapExpectation, gxe.ColumnPairMapExpectation, gxe.MulticolumnMapExpectation)
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
        ConfigError: a type or argument is unknown, or a rule is not for suites.
    """
    return tuple(_to_rule(table, conf) for conf in suite.rules)


def _to_rule(table: str, conf: Expectation) -> Rule:
    where = f"{conf.source or 'suites'}: {table}.{rule_name(conf)} ({conf.type})"
    if "unique" in conf.type:
        raise ConfigError(f"{where}: keys are checked at each commit, not by a suite; remove the rule")
    for argument, instead in INSTEAD.items():
        if argument in conf.kwargs:
            raise ConfigError(f"{where}: `{argument}` is not for suites; {instead}")
    columns, name = rule_columns(conf), rule_name(conf)
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
    return Rule(name, columns, expected(conf), is_of_rows, conf, gx)
