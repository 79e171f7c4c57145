"""Compare last night's lists with what users then did.

spark-submit jobs/look_back.py --data-date 2022-05-08

The lists as of D - 1 were for use on D. Where labels of D are final some days later only, the night looks
back at the newest day with final labels. Logged impressions come from another policy than ours, so these
numbers compare nights, not policies. Cost: a date's events joined with as many users' lists.
"""

from datetime import timedelta

from core.training_days import labelled_date
from features.outcomes import to_outcomes
from jobs.runtime.job import ONE, job
from jobs.runtime.reads import USER_POOLS, day_before_labelled, labelled_day
from jobs.runtime.run import Run


@job(
    reads=(
        day_before_labelled("scores"),
        day_before_labelled("pools"),
        day_before_labelled(USER_POOLS),
        labelled_day("events"),
    ),
    writes=("outcomes",),
    config=(
        *("tasks[].name", "tasks[].kind", "tasks[].label", "tasks[].where", "tasks[].matures_days"),
        *("cohorts.user", "lists[].pool", "lists[].ranking"),
    ),
    dates=ONE,
)
def look_back(run: Run) -> None:
    """Replace the data date of `outcomes`."""
    labelled = labelled_date(run.config.tasks, run.data_date)
    before = labelled - timedelta(days=1)
    lists = run.read("scores", before)
    if lists.isEmpty():
        run.note(f"no lists as of {before} to look back at")
        rows = []
    else:
        own = run.read(USER_POOLS, before) if run.config.has_user_pools else None
        events = run.read("events", labelled)
        outcomes = to_outcomes(lists, run.read("pools", before), own, events, run.config)
        rows = [row.asDict() | {"data_date": run.data_date} for row in outcomes.collect()]
    run.commit_rows("outcomes", rows)


if __name__ == "__main__":
    look_back.main()
