"""Ingest source files: accepted events, entities, and a quarantine for every row that fails a rule.

spark-submit jobs/ingest.py --data-date 2022-05-07

Rows balance: read = accepted + duplicates + conflicts + failed, each counted in source rows; conflicts and
failed rows are in quarantine. Late rows go to their event's data date, beyond the horizon if re-admitted.
Actions of a log of their own go to their impression, see features/actions.py.
Cost: one read of the dates' files, one shuffle of their events by event_id; with actions also of the files of
`lateness_days` before and after, and one shuffle of both by the columns that join them.
"""

from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.errors import BlockedError
from features.actions import with_actions
from features.events import readmitted_by, to_events, with_readmissions, with_row_status
from jobs.runtime.actions import attribute_actions
from jobs.runtime.arguments import span_of
from jobs.runtime.attributes import refresh_entities
from jobs.runtime.checks import require_passed
from jobs.runtime.job import RANGE, job
from jobs.runtime.reads import source_files, source_log
from jobs.runtime.run import Run
from jobs.tables.raw import read_log, read_readmissions
from quality.failing import failing_filters, with_failed_rules


@job(
    reads=(*source_log(), source_files("attributes")),
    writes=("row_balance", "action_balance", "{entity}s", "quarantine", "events"),
    config=(
        *("source.time_zone", "source.events", "source.actions", "source.users", "source.items"),
        "behaviours",
    ),
    dates=RANGE,
    flags=("allow_empty",),
    entry_points=("quality.suites",),  # verdicts decide which rows and models pass
)
def ingest(run: Run) -> None:
    """Replace the data dates of `events` and `quarantine`; refresh `users` and `items`."""
    sources = run.sources("log")
    raw = read_log(run.spark, run.config.source.events, sources.files_of(run.dates), sources.log.columns)
    readmissions = read_readmissions(run.spark, sources.readmissions(run.dates))
    offered = with_readmissions(to_events(raw, run.config), readmissions, run.config)
    rows = run.compute(offered.where(F.col("data_date").between(run.first, run.data_date)))

    verdicts = run.judge(rows, "events")
    require_passed(verdicts)
    filters = failing_filters(next(iter(verdicts.values())))  # those of each date are the same
    judged = run.compute(with_row_status(with_failed_rules(rows, filters), run.config))
    balance_rows(run, judged)
    impressions = with_failed_rules(offered, filters).where(F.size("failed_rules") == 0)
    actions = attribute_actions(run, impressions)

    refresh_entities(run)
    rejected = reduce(
        DataFrame.unionByName, (to_quarantine(rows, run) for rows in (judged, *actions.values()))
    )
    run.commit("quarantine", rejected, is_judged=True)
    accepted = judged.where(F.col("row_status") == "accepted")
    for name, of_log in actions.items():
        accepted = with_actions(accepted, of_log, name, run.config)
    columns = run.catalog["events"].columns
    run.commit("events", accepted.select(*columns), is_judged=True)


def balance_rows(run: Run, judged: DataFrame) -> None:
    """Count rows by row status and data date into `row_balance`; stop at a date without accepted events.

    Raises:
        BlockedError: a date has none, and `--allow-empty` was not given.
    """
    statuses = {"accepted": "accepted", "duplicates": "duplicate", "conflicts": "conflict"}
    statuses |= {"failed": "failed"}
    counted = judged.groupBy("data_date").agg(
        F.count(F.lit(1)).alias("read"),
        *(F.count_if(F.col("row_status") == status).alias(name) for name, status in statuses.items()),
        F.count_if(F.col("file_date") > F.col("data_date")).alias("late"),
    )
    by_date = {row["data_date"]: row.asDict() for row in counted.collect()}
    empty = [day for day in run.dates if not by_date.get(day, {}).get("accepted")]
    if empty and not run.allow_empty:
        raise BlockedError(
            f"events: no acceptable event of data date {span_of(empty[0], empty[-1])} ({len(empty)} dates); "
            "expected some; tables unchanged. If that is true, run again with --allow-empty: features are "
            "then as of this date, without new events"
        )
    nothing = dict.fromkeys(("read", *statuses, "late"), 0)
    rows = [nothing | by_date.get(day, {}) | {"data_date": day} for day in run.dates]
    run.commit_rows("row_balance", rows)
    if late := sum(row["late"] for row in rows):
        run.note(f"{late:,} late rows")


def to_quarantine(judged: DataFrame, run: Run) -> DataFrame:
    """Return the rows that failed a rule, as received, with all rules that they failed."""
    is_ours = F.col("data_date").between(run.first, run.data_date)
    is_of_impressions = "readmissions" in judged.columns  # actions cannot be re-admitted
    is_rejected = F.col("row_status").isin("failed", "conflict")
    return judged.where(is_ours & is_rejected).select(
        "source_row_id",
        "source_path",
        "raw_row",
        "failed_rules",
        *(F.lit(run.record.run_id).alias(name) for name in ("first_run_id", "last_run_id")),
        (readmitted_by() if is_of_impressions else F.lit(None).cast("string")).alias("readmitted_by"),
        "data_date",
    )


if __name__ == "__main__":
    ingest.main()
