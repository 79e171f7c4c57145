"""Label every user and item with its cohort as of each data date.

spark-submit jobs/label_cohorts.py --data-date 2022-05-07

Cost: one narrow pass over the features of the dates: linear in users and items.
"""

from core.config_model import ENTITIES
from core.expressions import columns_of
from features.cohorts import to_cohorts
from jobs.runtime.job import RANGE, job
from jobs.runtime.reads import same_day
from jobs.runtime.run import Run


def require_features(run: Run) -> None:
    """Stop where a rule reads a feature that was declared after the features of our dates were made.

    Raises:
        ConfigError: with the columns and the dates.
    """
    for entity in ENTITIES:
        rules = getattr(run.config.cohorts, entity).rules
        columns = {name for rule in rules for name in columns_of(rule.when, f"cohorts.{entity}.rules")}
        run.require_filled_in(f"{entity}_features", columns, run.dates, f"cohorts.{entity}")


@job(
    reads=(same_day("{entity}_features"),),
    writes=("{entity}_cohorts",),
    config=("cohorts",),
    dates=RANGE,
    requires=require_features,
)
def label_cohorts(run: Run) -> None:
    """Replace the data dates of `user_cohorts` and `item_cohorts`."""
    for entity in ENTITIES:
        features = run.read(f"{entity}_features", run.first, run.data_date)
        cohorts = to_cohorts(features, getattr(run.config.cohorts, entity), entity)
        run.commit(f"{entity}_cohorts", cohorts)


if __name__ == "__main__":
    label_cohorts.main()
