"""Run one suite over a DataFrame with Great Expectations, before its rows become visible.

Great Expectations says which rules hold, and returns the condition of each as a Spark predicate; one
more aggregation counts the failing rows of all predicates. That is its cheapest mode (BOOLEAN_ONLY: two
aggregations for any number of rules on one column). Its modes that count rows run a job for each rule,
to collect examples of bad values. A rule on a pair of columns costs four jobs in every mode.

Nulls: rules on values (in_set, between, match_regex, ...) ignore nulls, so a column that must be
filled needs expect_column_values_to_not_be_null as well.
"""

import ast
import logging
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import great_expectations as gx
from great_expectations.core.batch_definition import BatchDefinition
from great_expectations.core.expectation_validation_result import ExpectationValidationResult
from great_expectations.data_context.types.base import ProgressBarsConfig
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.schema import Suite
from quality.rules import Rule, to_rules
from quality.verdicts import Outcome, RuleResult, Verdict

CONDITIONS = {"result_format": "BOOLEAN_ONLY", "return_unexpected_index_query": True}
MEASURED = {"result_format": "BASIC"}
EVERY_ROW = "true"

_QUERY = re.compile(r"^df\.filter\(F\.expr\((?P<literal>.*)\)\)$", re.DOTALL)


def run_suite(df: DataFrame, table: str, suite: Suite) -> Verdict:
    """Return the verdict on the rows of a table; nothing is written or filtered.

    A critical rule fails if more than its max_failing_share of all rows fail it; with fewer rows, or
    another severity, it is a warning. A rule whose column is missing, or that cannot be evaluated, fails
    with any severity. Without rows, rules on rows pass.
    Cost: three aggregations over `df`, which should be persisted, four more for each rule on a pair of
    columns, and about 20 ms of planning per rule.

    Args:
        df: the rows that are about to be committed.
        table: its name, for messages.
        suite: its rules.

    Raises:
        ConfigError: the suite itself is wrong: a rule or argument is unknown.
    """
    rules = to_rules(table, suite)
    runnable = [rule for rule in rules if set(rule.columns) <= set(df.columns)]
    answers = _ask(df, runnable)
    filters = {rule.name: _filter(answers[rule.name]) for rule in runnable if rule.is_of_rows}
    rows, failing = _count(df, {name: sql for name, sql in filters.items() if sql is not None})

    def result(rule: Rule) -> RuleResult:
        missing = [column for column in rule.columns if column not in df.columns]
        if missing:
            found = f"column {', '.join(missing)} is missing"
            return _result(rule, rows, rows, EVERY_ROW, found, "failed")
        answer = answers[rule.name]
        if rule.name not in failing:
            return _result_of_whole(rule, rows, answer)
        if answer.success != (failing[rule.name] == 0):
            found = "cannot be evaluated: its condition finds other rows than Great Expectations did"
            return _result(rule, rows, None, None, found, "failed")
        return _result_of_rows(rule, rows, failing[rule.name], filters[rule.name])

    return Verdict(table, rows, tuple(map(result, rules)))


def _ask(df: DataFrame, rules: Sequence[Rule]) -> dict[str, ExpectationValidationResult]:
    """Return Great Expectations' answer to each rule, by name, since it does not keep their order."""
    batch = _rows().get_batch({"dataframe": df})
    answers = {}
    for of_rows, result_format in ((True, CONDITIONS), (False, MEASURED)):
        asked = [rule.gx for rule in rules if rule.is_of_rows == of_rows]
        if asked:
            suite = gx.ExpectationSuite(name="suite", expectations=asked)
            for answer in batch.validate(suite, result_format=result_format).results:
                answers[_name(answer)] = answer
    return answers


def _name(answer: ExpectationValidationResult) -> str:
    assert answer.expectation_config is not None
    assert answer.expectation_config.meta is not None
    return str(answer.expectation_config.meta["rule"])


@cache
def _rows() -> BatchDefinition[None]:
    """Return a data set in memory, one per process, that takes any DataFrame as its rows.

    Its context writes no file and sends no usage statistics.
    """
    logging.getLogger("great_expectations").setLevel(logging.ERROR)  # it logs every context
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    context.enable_analytics(False)
    # The caller has persisted its rows; Great Expectations would persist them a second time.
    source = context.data_sources.add_spark("spark", persist=False)
    return source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")


def _filter(answer: ExpectationValidationResult) -> str | None:
    """Return the predicate in an answer, `df.filter(F.expr('...'))`; None if the rule cannot be evaluated."""
    match = _QUERY.match(answer.result.get("unexpected_index_query") or "")
    return None if match is None else str(ast.literal_eval(match["literal"]))


def _count(df: DataFrame, filters: Mapping[str, str]) -> tuple[int, dict[str, int]]:
    """Count all rows, and the failing rows of each predicate, in one pass."""
    counts = df.agg(
        F.count(F.lit(1)).alias("rows"),
        *(F.count_if(F.expr(sql)).alias(f"rule_{number}") for number, sql in enumerate(filters.values())),
    ).head()
    assert counts is not None  # an aggregation without keys has one row, also over no rows
    return counts["rows"], {name: counts[f"rule_{number}"] for number, name in enumerate(filters)}


def _result_of_rows(rule: Rule, rows: int, failing: int, predicate: str | None) -> RuleResult:
    is_within = failing <= rule.conf.max_failing_share * rows
    outcome: Outcome = "failed"
    if failing == 0:
        outcome = "passed"
    elif is_within or rule.conf.severity == "warning":
        outcome = "warned"
    return _result(rule, rows, failing, predicate, None, outcome)


def _result_of_whole(rule: Rule, rows: int, answer: ExpectationValidationResult) -> RuleResult:
    raised = _raised(answer.exception_info or {})
    if raised is not None:
        return _result(rule, rows, None, None, f"cannot be evaluated: {raised}", "failed")
    outcome: Outcome = "failed" if rule.conf.severity == "critical" else "warned"
    found = f"found {answer.result.get('observed_value')}"
    return _result(rule, rows, None, None, found, "passed" if answer.success else outcome)


def _raised(info: Mapping[str, Any]) -> str | None:
    """Return the first line of what a rule raised: its own, or that of one of the metrics it needs."""
    for one in (info, *(value for value in info.values() if isinstance(value, dict))):
        if one.get("raised_exception"):
            return str(one.get("exception_message") or "unknown").strip().splitlines()[0]
    return None


def _result(
    rule: Rule, rows: int, failing: int | None, predicate: str | None, found: str | None, outcome: Outcome
) -> RuleResult:
    return RuleResult(
        rule=rule.name,
        column=", ".join(rule.columns),
        expected=rule.expected,
        outcome=outcome,
        severity=rule.conf.severity,
        max_failing_share=rule.conf.max_failing_share,
        rows=rows,
        failing_rows=failing,
        filter=predicate,
        found=found,
        source=rule.conf.source,
    )
