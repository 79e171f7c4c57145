"""Average labels per user cohort and item group: the baseline that a model has to beat, and the fallback.

spark-submit jobs/fit_group_means.py --data-date 2022-05-07

Cost: examples of the training window, aggregated to cohorts x values of one attribute.
"""

from datetime import timedelta

from core.training_days import labelled_date
from features.group_means import to_daily_sums, to_group_means
from jobs.runtime.job import RANGE, job
from jobs.runtime.reads import labelled_window
from jobs.runtime.run import Run


@job(
    reads=(
        labelled_window("examples", lambda config: config.training.window_days, "days of a training window"),
    ),
    writes=("group_means",),
    config=("baselines", "tasks[].name", "tasks[].matures_days", "training.window_days"),
    dates=RANGE,
)
def fit_group_means(run: Run) -> None:
    """Replace the data dates of `group_means`."""
    days, tasks = run.config.training.window_days, run.config.tasks
    first, last = labelled_date(tasks, run.first), labelled_date(tasks, run.data_date)
    examples = run.read("examples", first - timedelta(days=days - 1), last)
    # Means of three levels and their priors are made of these sums, which are few: one scan, and few tasks.
    sums = to_daily_sums(examples, run.config.baselines, tasks)
    by_day = run.compute(sums.coalesce(run.spark.sparkContext.defaultParallelism))
    means = to_group_means(by_day, run.config.baselines, tasks, run.first, run.data_date, days)
    run.commit("group_means", means)


if __name__ == "__main__":
    fit_group_means.main()
