"""Verdicts: rows meet the suite of their table before they are committed, and the verdict is recorded."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from pyspark.sql import DataFrame

from core.errors import BlockedError
from core.schema import Config
from quality.verdicts import Verdict


def judge(frame: DataFrame, table: str, config: Config) -> Verdict:
    """Run a table's suite over rows."""
    from quality.suites import run_suite  # Great Expectations takes 4 s to import; most commands need none

    return run_suite(frame, table, config.suites[table])


def require_passed(verdict: Verdict) -> None:
    """Stop unless rows passed their suite.

    Raises:
        BlockedError: a critical rule fails above its threshold; nothing was written.
    """
    if not verdict.passed:
        raise BlockedError(
            f"{verdict.describe()}; table unchanged; fix the input or the code, then run again"
        )


def to_rows(verdict: Verdict, run_id: str, data_date: date) -> Sequence[Mapping[str, Any]]:
    """Return a verdict as rows of `quality_results`."""
    return [
        {
            "run_id": run_id,
            "data_date": data_date,
            "table": verdict.table,
            "rule": result.rule,
            "outcome": result.outcome,
            "observed": result.observed,
            "threshold": result.threshold,
            "severity": result.severity,
            "failing_rows": result.failing_rows,
        }
        for result in verdict.results
    ]
