"""Bring the actions of logs of their own to their impressions, and count what became of them."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from features.actions import to_actions, with_impression
from jobs.runtime.run import Run
from jobs.tables.raw import read_log

STATUSES = {"attributed": "attributed", "duplicates": "duplicate", "failed": "failed"}


def attribute_actions(run: Run, impressions: DataFrame) -> dict[str, DataFrame]:
    """Return the rows of each log of actions with their impression, and count them into `action_balance`.

    Counted are those of the run's data dates; rows of other dates are there because their impression may be
    of ours.

    Args:
        run: of the job that writes `events`.
        impressions: sound rows of `to_events`, of the run's data dates and `lateness_days` around them.
    """
    sources, config = run.sources("log"), run.config
    keys = sorted({column for source in config.source.actions.values() for column in source.join})
    found: dict[str, DataFrame] = {}
    counts: dict[tuple[str, object], dict[str, int]] = {}
    if config.source.actions:
        impressions = run.compute(
            impressions.select("event_id", "data_date", "event_time", "file_date", *keys)
        )
    for name, source in config.source.actions.items():
        files, columns = sources.action_files_of(name, run.dates), sources.actions[name].columns
        actions = to_actions(read_log(run.spark, source, files, columns), name, config)
        found[name] = run.compute(with_impression(actions, impressions, source, config))
        counted = (
            found[name]
            .groupBy("data_date")
            .agg(
                F.count(F.lit(1)).alias("read"),
                *(F.count_if(F.col("row_status") == status).alias(n) for n, status in STATUSES.items()),
            )
        )
        counts |= {(name, row["data_date"]): row.asDict() for row in counted.collect()}
    nothing = dict.fromkeys(("read", *STATUSES), 0)
    rows = [
        nothing | counts.get((name, day), {}) | {"action": name, "data_date": day}
        for name in found
        for day in run.dates
    ]
    run.commit_rows("action_balance", rows)
    if lost := sum(count["failed"] for (_, day), count in counts.items() if day in run.dates):
        run.note(f"{lost:,} actions in quarantine")
    return found
