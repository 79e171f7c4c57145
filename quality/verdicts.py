"""The outcome of a suite: one result per rule, one verdict per table."""

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["passed", "warned", "failed"]
Severity = Literal["critical", "warning"]

NAMED_IN_MESSAGE = 3  # rules that a message names; `quality_results` holds all


@dataclass(frozen=True)
class RuleResult:
    """The outcome of one rule on the rows of one table.

    Attributes:
        rule: its name, unique in its suite and stable from night to night.
        column: the columns that it reads, joined by ", "; empty for a rule on the table.
        expected: what it asks for, in words: "in [0, 1]".
        outcome: passed: every row is as expected. warned: some are not, within the share that may
            fail, or the rule only warns. failed: more are not.
        severity: as configured.
        max_failing_share: share of all rows that may fail, in [0, 1].
        rows: all rows; nulls count among them.
        failing_rows: rows that are not as expected; None for a rule on the table as a whole.
        filter: SQL predicate that is true for exactly these rows; None for a rule on the whole.
        found: what was measured instead of rows, or why nothing was: "mean 0.2", "column is missing".
        source: what the rule follows from: a key of the configuration, or a file of conf/suites.
    """

    rule: str
    column: str
    expected: str
    outcome: Outcome
    severity: Severity
    max_failing_share: float
    rows: int
    failing_rows: int | None
    filter: str | None = None
    found: str | None = None
    source: str = ""

    @property
    def failing_share(self) -> float | None:
        """Failing rows of all rows, in [0, 1]; None for a rule on the whole."""
        if self.failing_rows is None:
            return None
        return self.failing_rows / self.rows if self.rows else 0.0

    @property
    def observed(self) -> str:
        """What was found: "2517 of 81204 rows fail (3.1 %)"."""
        if self.found is not None:
            return self.found
        return f"{self.failing_rows} of {self.rows} rows fail ({percent(self.failing_share or 0.0)})"

    @property
    def threshold(self) -> str:
        """What was asked for: "in [0, 1], 0 % may fail"."""
        if self.failing_rows is None:
            return self.expected
        return f"{self.expected}, {percent(self.max_failing_share)} may fail"


@dataclass(frozen=True)
class Verdict:
    """The results of one table, all rules in the suite's order."""

    table: str
    rows: int
    results: tuple[RuleResult, ...]

    @property
    def failed(self) -> tuple[RuleResult, ...]:
        """Failed rules, the one with most failing rows first, equal ones in the suite's order."""
        failed = [result for result in self.results if result.outcome == "failed"]
        return tuple(sorted(failed, key=lambda result: -(result.failing_share or 0.0)))

    @property
    def passed(self) -> bool:
        """Whether the rows may become visible: no rule failed."""
        return not self.failed

    def describe(self) -> str:
        """Return the verdict in one line: what is wrong, in how many rows, what was expected, and why.

        The job adds what to do.
        """
        if self.passed:
            warned = sum(result.outcome == "warned" for result in self.results)
            warnings = f", {warned} with warnings" if warned else ""
            return f"{self.table} passed: {len(self.results)} rules on {self.rows} rows{warnings}"
        worst = self.failed[0]
        share = worst.failing_share
        if worst.found is None and share is not None:
            head = f"{percent(share)} of {self.rows} rows fail, {percent(worst.max_failing_share)} allowed"
        else:
            head = f"{len(self.failed)} of {len(self.results)} rules fail on {self.rows} rows"
        named = "; ".join(_fault(result) for result in self.failed[:NAMED_IN_MESSAGE])
        more = len(self.failed) - NAMED_IN_MESSAGE
        others = f"; and {more} more" if more > 0 else ""
        sources = ", ".join(dict.fromkeys(r.source for r in self.failed[:NAMED_IN_MESSAGE] if r.source))
        by = f"; by {sources}" if sources else ""
        return f"{self.table} blocked: {head} ({named}{others}{by})"


def percent(share: float) -> str:
    """Return a share in percent, with enough digits to differ from 0 and 100: "3.1 %", "0.0007 %"."""
    if share in (0.0, 1.0):
        return f"{share:.0%}".replace("%", " %")
    for digits in (1, 2, 3, 4):
        text = f"{100 * share:.{digits}f}"
        if 0 < float(text) < 100:
            return f"{text.rstrip('0').rstrip('.')} %"
    return "under 0.0001 %" if share < 0.5 else "over 99.9999 %"


def _fault(result: RuleResult) -> str:
    found = result.found or f"{result.failing_rows} rows"
    return f"{result.column or 'table'} {result.expected}, {found}"
