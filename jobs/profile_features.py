"""Count nulls and distributions of all feature columns as of a data date, for the catalogue of features.

spark-submit jobs/profile_features.py --data-date 2022-05-07

`lamplighter features` and the report show them. Cost: one scan of the features of the data date per group;
what is shuffled does not grow with users or items, but for the distinct texts of a column.
"""

from typing import Any

from pyspark.sql import types as T

from features.profiles import Profile, to_profiles
from jobs.runtime.job import ONE, job
from jobs.runtime.reads import same_day
from jobs.runtime.run import Run


@job(
    reads=(same_day("{group}_features"),),
    writes=("feature_profiles",),
    config=("features", "inputs.categorical[].column", "source.time_zone"),
    dates=ONE,
    after=("publish",),  # no list waits for it
)
def profile_features(run: Run) -> None:
    """Replace the data date of `feature_profiles`."""
    names = [each.column for each in run.config.inputs.categorical]
    rows = []
    for table in run.job.reads[0].names(run.config):
        declared = run.catalog[table]
        features = [  # an array has no distribution of its own
            name
            for name, kind in declared.columns.items()
            if name not in declared.grain and not isinstance(kind, T.ArrayType)
        ]
        found = to_profiles(run.read(table, run.data_date), features, names, run.config.source.time_zone)
        rows += [to_row(run, table.removesuffix("_features"), profile) for profile in found]
    run.commit_rows("feature_profiles", rows)


def to_row(run: Run, group: str, profile: Profile) -> dict[str, Any]:
    """Return a profile as a row of `feature_profiles`."""
    return {
        "data_date": run.data_date,
        "feature_group": group,
        "feature": profile.feature,
        "rows": profile.rows,
        "nulls": profile.nulls,
        "low": [each.low for each in profile.bins],
        "high": [each.high for each in profile.bins],
        "bin_rows": [each.rows for each in profile.bins],
        "frequent_values": [value for value, _ in profile.values],
        "value_rows": [rows for _, rows in profile.values],
    }


if __name__ == "__main__":
    profile_features.main()
