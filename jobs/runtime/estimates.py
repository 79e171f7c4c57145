"""What steps will take, from what earlier runs of the same jobs took: rows and seconds of the ledger."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from statistics import fmean
from typing import Any


@dataclass(frozen=True)
class PastRun:
    """One run that is done.

    Attributes:
        dates: its data dates.
        seconds: of the whole run.
        rows: that it wrote to all tables together, for all its dates.
    """

    dates: frozenset[date]
    seconds: float
    rows: int


@dataclass(frozen=True)
class Estimate:
    """What one job takes: seconds = start + per_date x data dates, and rows of one data date.

    Attributes:
        runs: earlier runs that it is taken from; 0: nothing is known.
        start: seconds of a run beside those per date.
        per_date: seconds per data date of a range.
        rows: data date -> rows of the newest run that covered it, shared equally among its dates.
    """

    runs: int
    start: float
    per_date: float
    rows: Mapping[date, float]

    def seconds(self, dates: int) -> float:
        """Return the seconds of one run over a number of data dates."""
        return self.start + self.per_date * dates

    def rows_of(self, data_date: date) -> float:
        """Return the rows of a data date: those of its newest run, else the mean of all dates."""
        return self.rows.get(data_date, fmean(self.rows.values()) if self.rows else 0.0)


def estimate(runs: Iterable[PastRun]) -> Estimate:
    """Return the line of least squares through the runs of one job, over their number of data dates.

    Runs of one length say nothing of the line's slope: then the seconds per date are theirs divided by their
    dates, which is too much for longer ranges; a slope or a start below 0 is noise, and is taken to be 0.

    Args:
        runs: oldest first.
    """
    past = list(runs)
    rows = {day: run.rows / len(run.dates) for run in past for day in run.dates}
    if not past:
        return Estimate(0, 0.0, 0.0, {})
    lengths = [float(len(run.dates)) for run in past]
    mean_length, mean_seconds = fmean(lengths), fmean(run.seconds for run in past)
    spread = sum((length - mean_length) ** 2 for length in lengths)
    if spread == 0:
        return Estimate(len(past), 0.0, mean_seconds / mean_length, rows)
    along = sum(
        (n - mean_length) * (run.seconds - mean_seconds) for n, run in zip(lengths, past, strict=True)
    )
    slope = max(0.0, along / spread)
    start = mean_seconds - slope * mean_length
    if start < 0:
        return Estimate(len(past), 0.0, mean_seconds / mean_length, rows)
    return Estimate(len(past), start, slope, rows)


def past_runs(ledger: Iterable[Mapping[str, Any]]) -> dict[str, list[PastRun]]:
    """Return job -> its runs that are done, oldest first.

    Args:
        ledger: rows of the table `runs`, oldest run first.
    """
    dates: dict[str, set[date]] = {}
    newest: dict[str, Mapping[str, Any]] = {}
    for row in ledger:
        if row["state"] == "done":
            dates.setdefault(row["run_id"], set()).add(row["data_date"])
            newest[row["run_id"]] = row
    found: dict[str, list[PastRun]] = {}
    for run_id, row in newest.items():
        rows = sum(json.loads(row["rows"]).values())
        found.setdefault(row["job"], []).append(PastRun(frozenset(dates[run_id]), row["seconds"], rows))
    return found
