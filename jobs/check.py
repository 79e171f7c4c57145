"""Audit committed events across tables and days; what does not pass blocks the night.

spark-submit jobs/check.py --data-date 2022-05-07

Suites look at the rows of one table; audits at what only shows between tables or days: volume against
the days before, ids without attributes.
Cost: the dates' events joined with users and items, counts of a week of partitions.
"""

from datetime import date, timedelta
from typing import Any

from pyspark.sql import functions as F

from core.errors import BlockedError
from jobs.runtime.job import job
from jobs.runtime.run import Run
from quality.verdicts import Outcome, RuleResult, Verdict, percent

AUDIT = "audit of events"
DAYS_BEFORE = 7
LEAST_OF_MEAN = 0.05  # of the mean of the days before: less is a broken delivery
MOST_UNKNOWN = 0.5


@job
def check(run: Run) -> None:
    """Write the audits' verdicts; raise when one fails."""
    run.require_inputs()
    counts = count_events(run)
    failed = []
    for day in run.dates:
        results = (volume(day, counts), *references(counts.get(day, {})))
        verdict = Verdict(AUDIT, counts.get(day, {}).get("events", 0), results)
        run.record(verdict, day)
        failed += [f"{day}: {result.expected}, found {result.observed}" for result in verdict.failed]
    if failed and not run.arguments.allow_empty:
        raise BlockedError(f"{AUDIT}: {'; '.join(failed)}; mend the source files, then ingest again")
    run.notes.append(f"{sum(counts[day]['events'] for day in run.dates if day in counts):,} events audited")


def count_events(run: Run) -> dict[date, dict[str, Any]]:
    """Events of each date of ours and of the week before; of ours also ids without attributes."""
    events = run.read("events", run.first - timedelta(days=DAYS_BEFORE), run.last)
    users = run.read("users").select("user_id", F.lit(1).alias("known_user"))
    items = run.read("items").select("item_id", F.lit(1).alias("known_item"))
    counted = (
        events.select("data_date", "user_id", "item_id")
        .join(users, on="user_id", how="left")
        .join(items, on="item_id", how="left")
        .groupBy("data_date")
        .agg(
            F.count(F.lit(1)).alias("events"),
            F.count_if(F.col("known_user").isNull()).alias("users"),
            F.count_if(F.col("known_item").isNull()).alias("items"),
        )
    )
    return {row["data_date"]: row.asDict() for row in counted.collect()}


def volume(day: date, counts: dict[date, dict[str, Any]]) -> RuleResult:
    """Events of the date against the mean of the days before, where there are any."""
    before = [
        counts[d]["events"]
        for back in range(1, DAYS_BEFORE + 1)
        if (d := day - timedelta(days=back)) in counts
    ]
    found = counts.get(day, {}).get("events", 0)
    mean = sum(before) / len(before) if before else 0.0
    return RuleResult(
        rule="volume_against_days_before",
        column="",
        expected=f"at least {percent(LEAST_OF_MEAN)} of the mean of the {DAYS_BEFORE} days before",
        outcome="passed" if found >= LEAST_OF_MEAN * mean else "failed",
        severity="critical",
        max_failing_share=0.0,
        rows=found,
        failing_rows=None,
        found=f"{found} events, mean before {mean:.0f}",
    )


def references(counted: dict[str, Any]) -> tuple[RuleResult, ...]:
    """Share of events whose user or item has no attributes: they are served, but something may be amiss."""
    events = counted.get("events", 0)
    results = []
    for entity in ("user", "item"):
        unknown = counted.get(f"{entity}s", 0)
        share = unknown / events if events else 0.0
        outcome: Outcome = "failed" if share > MOST_UNKNOWN else "warned" if unknown else "passed"
        results.append(
            RuleResult(
                rule=f"{entity}_id_has_attributes",
                column=f"{entity}_id",
                expected=f"in {entity}s",
                outcome=outcome,
                severity="critical",
                max_failing_share=MOST_UNKNOWN,
                rows=events,
                failing_rows=unknown,
            )
        )
    return tuple(results)


if __name__ == "__main__":
    check.main()
