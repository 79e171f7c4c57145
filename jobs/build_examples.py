"""Join events of each data date with all that was known at the end of the day before.

spark-submit jobs/build_examples.py --data-date 2022-05-07

Cost: the dates' events joined with the dense features and cohorts of as many dates; users' and items'
features joined with those of further groups; with `examples.repeats` two shuffles of the events more, by
user and item.
"""

from datetime import timedelta

from features.examples import to_examples
from features.repeats import to_repeat_counts
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
    config=(
        *("source.events.columns", "features", "cohorts", "examples"),
        *("tasks[].name", "tasks[].label", "tasks[].where"),
    ),
    dates=RANGE,
)
def build_examples(run: Run) -> None:
    """Replace the data dates of `examples`."""
    first, last = run.first - timedelta(days=1), run.data_date - timedelta(days=1)
    events = run.read("events", run.first, run.data_date)
    examples = to_examples(
        events,
        run.read("user_features", first, last),
        run.read("item_features", first, last),
        run.read("user_cohorts", first, last),
        run.read("item_cohorts", first, last),
        read_keyed_groups(run, first, last),
        run.config,
    )
    run.commit("examples", examples)
    if run.config.examples.repeats:
        ((shown, repeats),) = to_repeat_counts(events).collect()
        run.note(f"of {shown:,} impressions {repeats:,} are repeats, which count in no task")


if __name__ == "__main__":
    build_examples.main()
