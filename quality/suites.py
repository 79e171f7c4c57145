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
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any, NamedTuple

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
    answered = _answered(df, table, suite)
    counts = _count(df, answered.filters).get(None, _Counts(0, dict.fromkeys(answered.filters, 0)))
    return answered.verdict(counts, counts)


def run_suite_by_date(df: DataFrame, table: str, suite: Suite) -> dict[date, Verdict]:
    """Return a verdict for each data date that has rows: shares are of the rows of the date.

    As `run_suite`, for one pass over several data dates; a rule on the table as a whole is judged on all of
    them. Rows without a data date count with those of none.
    """
    answered = _answered(df, table, suite)
    counts = _count(df, answered.filters, "data_date")
    total = _Counts(
        sum(each.rows for each in counts.values()),
        {name: sum(each.failing[name] for each in counts.values()) for name in answered.filters},
    )
    return {day: answered.verdict(each, total) for day, each in sorted(counts.items()) if day is not None}


class _Counts(NamedTuple):
    """Rows, and rule -> rows that fail it."""

    rows: int
    failing: Mapping[str, int]


@dataclass(frozen=True)
class _Answered:
    """Rules of a suite with what Great Expectations says of them over all rows.

    Attributes:
        table: its name.
        rules: all of them.
        missing: rule -> columns that are not there.
        answers: rule -> answer; none where a column is missing.
        filters: rule on rows -> predicate of the rows that fail it.
    """

    table: str
    rules: tuple[Rule, ...]
    missing: Mapping[str, list[str]]
    answers: Mapping[str, ExpectationValidationResult]
    filters: Mapping[str, str]

    def verdict(self, counts: _Counts, total: _Counts) -> Verdict:
        """Return the verdict on some of the rows: `counts` of them, `total` of all."""
        results = tuple(self._result(rule, counts, total) for rule in self.rules)
        return Verdict(self.table, counts.rows, results)

    def _result(self, rule: Rule, counts: _Counts, total: _Counts) -> RuleResult:
        if missing := self.missing[rule.name]:
            found = f"column {', '.join(missing)} is missing"
            return _result(rule, counts.rows, counts.rows, EVERY_ROW, found, "failed")
        answer = self.answers[rule.name]
        if rule.name not in self.filters:
            return _result_of_whole(rule, counts.rows, answer)
        if answer.success != (total.failing[rule.name] == 0):
            found = "cannot be evaluated: its condition finds other rows than Great Expectations did"
            return _result(rule, counts.rows, None, None, found, "failed")
        return _result_of_rows(rule, counts.rows, counts.failing[rule.name], self.filters[rule.name])


def _answered(df: DataFrame, table: str, suite: Suite) -> _Answered:
    rules = to_rules(table, suite)
    missing = {rule.name: [each for each in rule.columns if each not in df.columns] for rule in rules}
    runnable = [rule for rule in rules if not missing[rule.name]]
    answers = _ask(df, runnable)
    found = {rule.name: _filter(answers[rule.name]) for rule in runnable if rule.is_of_rows}
    filters = {name: sql for name, sql in found.items() if sql is not None}
    return _Answered(table, rules, missing, answers, filters)


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


def _count(df: DataFrame, filters: Mapping[str, str], by: str | None = None) -> dict[Any, _Counts]:
    """Count rows, and the failing rows of each predicate, in one pass; by the values of a column, or all."""
    counted = df.groupBy(*([by] if by else [])).agg(
        F.count(F.lit(1)).alias("rows"),
        *(F.count_if(F.expr(sql)).alias(f"rule_{number}") for number, sql in enumerate(filters.values())),
    )
    return {
        (row[by] if by else None): _Counts(
            row["rows"], {name: row[f"rule_{number}"] for number, name in enumerate(filters)}
        )
        for row in counted.collect()
    }


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
