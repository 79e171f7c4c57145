"""Join events of each data date with all that was known at the end of the day before.

spark-submit jobs/build_examples.py --data-date 2022-05-07

Cost: the dates' events joined with the dense features and cohorts of as many dates.
"""

from datetime import timedelta

from features.examples import to_examples
from jobs.runtime.job import job
from jobs.runtime.run import Run


@job
def build_examples(run: Run) -> None:
    """Replace the data dates of `examples`."""
    run.require_inputs()
    first, last = run.first - timedelta(days=1), run.last - timedelta(days=1)
    examples = run.compute(
        to_examples(
            run.read("events", run.first, run.last),
            run.read("user_features", first, last),
            run.read("item_features", first, last),
            run.read("user_cohorts", first, last),
            run.read("item_cohorts", first, last),
            run.config,
        )
    )

    run.validate(examples, "examples")
    run.replace("examples", examples)


if __name__ == "__main__":
    build_examples.main()
