"""Rows and seconds of steps, estimated from the runs of the ledger."""

from datetime import date, timedelta
from typing import Any

import pytest

from jobs.runtime.estimates import PastRun, estimate, past_runs

FIRST = date(2024, 2, 26)


def run(first: int, days: int, seconds: float, rows: int = 0) -> PastRun:
    dates = frozenset(FIRST + timedelta(days=number) for number in range(first, first + days))
    return PastRun(dates, seconds, rows)


def of_ledger(run_id: str, job: str, day: date, state: str, seconds: float, rows: str) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "job": job,
        "data_date": day,
        "state": state,
        "seconds": seconds,
        "rows": rows,
    }


def test_seconds_are_a_start_and_so_much_per_date() -> None:
    found = estimate([run(0, 10, 25.0), run(10, 1, 7.0), run(11, 1, 7.0)])

    assert found.seconds(1) == pytest.approx(7.0)
    assert found.seconds(4) == pytest.approx(13.0)
    assert found.runs == 3


def test_runs_of_one_length_say_nothing_of_a_start() -> None:
    assert estimate([run(0, 1, 6.0), run(1, 1, 8.0)]).seconds(3) == 21.0
    assert estimate([run(0, 10, 30.0)]).seconds(1) == 3.0


def test_longer_ranges_that_were_faster_have_no_negative_slope() -> None:
    found = estimate([run(0, 1, 10.0), run(0, 3, 4.0)])

    assert (found.start, found.per_date) == (7.0, 0.0)


def test_rows_of_a_date_are_those_of_its_newest_run() -> None:
    found = estimate([run(0, 2, 1.0, rows=20), run(1, 1, 1.0, rows=30)])

    assert found.rows_of(FIRST) == 10
    assert found.rows_of(FIRST + timedelta(days=1)) == 30
    assert found.rows_of(FIRST + timedelta(days=9)) == 20  # never built: the mean


def test_nothing_is_known_of_a_job_that_never_ran() -> None:
    found = estimate([])

    assert (found.seconds(5), found.rows_of(FIRST), found.runs) == (0, 0, 0)


def test_a_run_of_a_range_is_one_run_and_only_what_is_done_counts() -> None:
    second = FIRST + timedelta(days=1)
    ledger = [
        of_ledger("1", "ingest", FIRST, "started", 0.0, "{}"),
        of_ledger("1", "ingest", second, "started", 0.0, "{}"),
        of_ledger("1", "ingest", FIRST, "done", 9.0, '{"events": 5, "quarantine": 1}'),
        of_ledger("1", "ingest", second, "done", 9.0, '{"events": 5, "quarantine": 1}'),
        of_ledger("2", "ingest", FIRST, "blocked", 2.0, "{}"),
    ]

    assert past_runs(ledger) == {"ingest": [PastRun(frozenset({FIRST, second}), 9.0, 6)]}
