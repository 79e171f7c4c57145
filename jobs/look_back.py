"""Compare last night's lists with what users then did.

spark-submit jobs/look_back.py --data-date 2022-05-08

The lists as of D - 1 were for use on D. Logged impressions come from another policy than ours, so these
numbers compare nights, not policies. Cost: the date's events joined with as many users' lists.
"""

from datetime import timedelta

from features.outcomes import to_outcomes
from jobs.runtime.job import ONE, job
from jobs.runtime.reads import day_before, same_day
from jobs.runtime.run import Run


@job(
    reads=(
        day_before("scores", is_needed=False),
        same_day("events"),
    ),
    writes=("outcomes",),
    config=("tasks[].name", "tasks[].kind", "tasks[].label", "tasks[].where", "cohorts.user"),
    dates=ONE,
)
def look_back(run: Run) -> None:
    """Replace the data date of `outcomes`."""
    before = run.data_date - timedelta(days=1)
    lists = run.read("scores", before)
    if lists.isEmpty():
        run.note(f"no lists as of {before} to look back at")
        rows = []
    else:
        outcomes = to_outcomes(lists, run.read("events", run.data_date), run.config)
        rows = [row.asDict() | {"data_date": run.data_date} for row in outcomes.collect()]
    run.commit_rows("outcomes", rows)


if __name__ == "__main__":
    look_back.main()
