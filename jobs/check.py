"""Audit committed events across tables and days; what does not pass blocks the night.

spark-submit jobs/check.py --data-date 2022-05-07

Suites look at the rows of one table; audits at what only shows between tables or days: volume against
the days before, ids without attributes. Thresholds are in the configuration, under `audits`.
Cost: events of the dates and of `audits.days_before` days before them, joined with users and items.
"""

from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.config_model import ENTITIES, EntityName
from core.errors import BlockedError
from jobs.runtime.job import RANGE, job
from jobs.runtime.reads import same_day, trailing
from jobs.runtime.run import Run
from quality.audits import EventCounts, audit_events
from quality.verdicts import Verdict


@job(
    reads=(
        same_day("{entity}s"),
        trailing("events", lambda config: config.audits.days_before + 1, "days of the audits"),
    ),
    writes=(),
    config=("audits", "source.users", "source.items"),
    dates=RANGE,
    flags=("allow_empty",),
)
def check(run: Run) -> None:
    """Write the audits' verdicts; raise when one fails."""
    counts = count_events(run)
    verdicts = {}
    for data_date in run.dates:
        events = counts[data_date].events if data_date in counts else 0
        results = audit_events(data_date, counts, run.config.audits)
        verdicts[data_date] = Verdict("audit of events", events, results)
    run.record_verdicts("audit of events", verdicts)
    failed = [
        f"{data_date}: {result.expected}, found {result.observed}"
        for data_date, verdict in verdicts.items()
        for result in verdict.failed
        if verdict.rows or not run.allow_empty  # allowed is a date without events
    ]
    if failed:
        raise BlockedError(f"audit of events: {'; '.join(failed)}; fix the source files, then ingest again")
    audited = sum(counts[each].events for each in run.dates if each in counts)
    run.note(f"{audited:,} events audited")


def count_events(run: Run) -> dict[date, EventCounts]:
    """Count events of each date of ours and of the days before, and those whose ids have no attributes."""
    first = run.first - timedelta(days=run.config.audits.days_before)
    events = run.read("events", first, run.data_date)
    rows = events.select("data_date", "user_id", "item_id")
    for entity in ENTITIES:
        rows = with_known(rows, run.read(f"{entity}s"), entity)
    counted = rows.groupBy("data_date").agg(
        F.count(F.lit(1)).alias("events"),
        F.count_if(F.col("known_user").isNull()).alias("unknown_users"),
        F.count_if(F.col("known_item").isNull()).alias("unknown_items"),
    )
    has_users, has_items = run.config.source.users is not None, run.config.source.items is not None
    return {
        row["data_date"]: EventCounts(
            row["events"],
            row["unknown_users"] if has_users else None,
            row["unknown_items"] if has_items else None,
        )
        for row in counted.collect()
    }


def with_known(rows: DataFrame, entities: DataFrame, entity: EntityName) -> DataFrame:
    """Add whether a version of an entity's attributes is valid on the data date; rows stay as they are."""
    versions = entities.select(
        F.col(f"{entity}_id").alias("_id"), "valid_from", "valid_to", F.lit(1).alias(f"known_{entity}")
    )
    is_valid = (F.col("valid_from") <= F.col("data_date")) & (
        F.col("valid_to").isNull() | (F.col("data_date") < F.col("valid_to"))
    )
    joined = rows.join(versions, on=(F.col(f"{entity}_id") == F.col("_id")) & is_valid, how="left")
    return joined.drop("_id", "valid_from", "valid_to")


if __name__ == "__main__":
    check.main()
