"""Verdicts: rows meet the suite of their table before they are committed, and the verdict is recorded."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from pyspark.sql import DataFrame

from core.errors import BlockedError
from core.schema import Config
from quality.verdicts import Verdict


def judge(frame: DataFrame, table: str, config: Config, data_date: date) -> dict[date, Verdict]:
    """Run a table's suite over rows: data date -> verdict on its rows.

    Args:
        frame: the rows.
        table: whose suite.
        config: its suites.
        data_date: of rows that carry none, and of no rows.
    """
    # Great Expectations takes 4 s to import; most commands need none.
    from quality.suites import run_suite, run_suite_by_date

    suite = config.suites[table]
    by_date = run_suite_by_date(frame, table, suite) if "data_date" in frame.columns else {}
    return by_date or {data_date: run_suite(frame, table, suite)}


def require_passed(verdicts: Mapping[date, Verdict]) -> None:
    """Stop unless the rows of each data date passed their suite.

    Raises:
        BlockedError: a critical rule fails above its threshold on a data date; nothing was written.
    """
    failed = {day: verdict.describe() for day, verdict in verdicts.items() if not verdict.passed}
    if failed:
        texts = [f"{day}: {text}" for day, text in failed.items()] if len(verdicts) > 1 else failed.values()
        raise BlockedError(f"{'; '.join(texts)}; table unchanged; fix the input or the code, then run again")


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
