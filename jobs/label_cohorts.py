"""Label every user and item with its cohort as of each data date.

spark-submit jobs/label_cohorts.py --data-date 2022-05-07

Cost: one narrow pass over the features of the dates: linear in users and items.
"""

from core.config_model import EntityName
from features.cohorts import to_cohorts
from jobs.runtime.job import job
from jobs.runtime.run import Run

ENTITIES: tuple[EntityName, ...] = ("item", "user")


@job
def label_cohorts(run: Run) -> None:
    """Replace the data dates of `user_cohorts` and `item_cohorts`."""
    run.require_inputs()
    for entity in ENTITIES:
        features = run.read(f"{entity}_features", run.first, run.last)
        cohorts = run.compute(to_cohorts(features, getattr(run.config.cohorts, entity), entity))
        run.validate(cohorts, f"{entity}_cohorts")
        run.replace(f"{entity}_cohorts", cohorts)


if __name__ == "__main__":
    label_cohorts.main()
