"""Make every list of the night for every user, and keep each one's best items.

spark-submit jobs/score.py --data-date 2022-05-07

Users travel through Arrow, batch by batch; pairs exist only inside torch. All users as of the data
date are scored, also those without one event, by the champion as of the data date, or by the newest
version of `--model`. Where no model has become champion yet, the baseline `group_mean` makes the lists.
Each bucket of users is a commit; a run that was ended early goes on with the buckets that it has left.
Cost: users x items of the pools forward passes per context of the lists, the pairs of the crosses that the
model reads, and the events of the days that lists look back; nothing grows with history. Each bucket, of
which there are at most 16, reads the features of all users.
"""

from pyspark.sql import functions as F

from jobs.runtime.buckets import buckets_to_commit
from jobs.runtime.cohort_features import read_with_cohort
from jobs.runtime.job import ONE, job
from jobs.runtime.night_lists import lists_by, with_items_of_users
from jobs.runtime.reads import STATE, USER_POOLS, champion, same_day, trailing
from jobs.runtime.run import Run
from jobs.workers.scoring import seen_days, to_night_lists
from jobs.workers.slices import Slices
from quality.served import served_by


@job(
    reads=(
        same_day(STATE),
        same_day("{group}_features"),
        same_day("{entity}_cohorts"),
        same_day("group_means"),
        same_day("pools"),
        same_day(USER_POOLS),
        trailing("events", seen_days, "days of what users have seen, for lists"),
        champion(),
    ),
    writes=("scores_staging",),
    config=(
        "baselines",
        "cohorts",
        "exposure",
        "features",
        "lists",
        "scoring",
        "tasks[].name",
        "tasks[].kind",
    ),
    dates=ONE,
    flags=("model",),
)
def score(run: Run) -> None:
    """Replace the data date of `scores_staging`, bucket by bucket."""
    version = run.champion()
    users = read_with_cohort(run, "user")
    slices = Slices.of(run.read("user_features", run.data_date).count())
    items, night, prepared = lists_by(run, version, slices)
    for bucket in buckets_to_commit(run, "scores_staging", slices.buckets):
        own, columns = prepared(slices.of_bucket(users, bucket), bucket)
        own = with_items_of_users(run, own, items, slices, bucket)
        lists = to_night_lists(own, night, columns, slices, run.catalog["scores_staging"].schema)
        lists = lists.withColumn("fingerprint", F.lit(run.fingerprint))
        run.commit_bucket("scores_staging", lists, bucket, slices.buckets)
    run.note(served_by(version))


if __name__ == "__main__":
    score.main()
