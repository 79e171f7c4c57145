"""Join events of each data date with all that was known at the end of the day before.

spark-submit jobs/build_examples.py --data-date 2022-05-07

Cost: the dates' events joined with the dense features and cohorts of as many dates;
users' and items' features joined with those of further groups.
"""

from datetime import timedelta

from features.examples import to_examples
from jobs.runtime.group_tables import read_keyed_groups
from jobs.runtime.job import RANGE, job
from jobs.runtime.reads import STATE, day_before, same_day
from jobs.runtime.run import Run


@job(
    reads=(
        same_day("events"),
        day_before(STATE),
        day_before("{group}_features"),
        day_before("{entity}_cohorts"),
    ),
    writes=("examples",),
    config=("source.events.columns", "features", "cohorts", "tasks[].name", "tasks[].label", "tasks[].where"),
    dates=RANGE,
)
def build_examples(run: Run) -> None:
    """Replace the data dates of `examples`."""
    first, last = run.first - timedelta(days=1), run.data_date - timedelta(days=1)
    examples = to_examples(
        run.read("events", run.first, run.data_date),
        run.read("user_features", first, last),
        run.read("item_features", first, last),
        run.read("user_cohorts", first, last),
        run.read("item_cohorts", first, last),
        read_keyed_groups(run, first, last),
        run.config,
    )
    run.commit("examples", examples)


if __name__ == "__main__":
    build_examples.main()
