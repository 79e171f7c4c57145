"""Score every user against the pool of the night, and keep each one's best items.

spark-submit jobs/score.py --data-date 2022-05-07

Users travel through Arrow, batch by batch; pairs exist only inside torch. All users as of the data
date are scored, also those without one event, by the champion as of the data date, or by the newest
version of `--model`. Where no model has become champion yet, the baseline `group_mean` makes the lists.
Each bucket of users is a commit; a run that was ended early goes on with the buckets that it has left.
Cost: users x items of the pool forward passes, and the pairs of the crosses that the model reads; nothing
grows with history. Each bucket, of which there are at most 16, reads the features of all users.
"""

from collections.abc import Callable, Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from features.candidates import to_item_pool
from features.groups import with_group_features
from jobs.runtime.buckets import buckets_to_commit
from jobs.runtime.group_tables import read_keyed_groups
from jobs.runtime.job import ONE, job
from jobs.runtime.reads import STATE, champion, same_day
from jobs.runtime.run import Run
from jobs.workers.baseline_lists import to_baseline_lists
from jobs.workers.crosses import with_user_vectors
from jobs.workers.scoring import to_model_lists, to_pool
from jobs.workers.slices import Slices
from models.serving.bundle import check_fits, read_bundle
from quality.served import served_by

ToLists = Callable[[DataFrame, int], DataFrame]
"""Features of the users of a bucket, and its number -> their lists."""


@job(
    reads=(
        same_day(STATE),
        same_day("{group}_features"),
        same_day("{entity}_cohorts"),
        same_day("group_means"),
        champion(),
    ),
    writes=("scores_staging",),
    config=(
        "baselines",
        "candidates",
        "cohorts",
        "exposure",
        "features",
        "list_context",
        "ranking",
        "tasks[].name",
        "tasks[].kind",
    ),
    dates=ONE,
    flags=("model",),
)
def score(run: Run) -> None:
    """Replace the data date of `scores_staging`, bucket by bucket."""
    version = run.champion()
    groups = read_keyed_groups(run, run.data_date)
    items = with_cohort(run, "item")
    pool = items.join(
        to_item_pool(items, run.config.candidates, run.config.exposure), on="item_id", how="left_semi"
    )
    pool = with_group_features(pool, groups, run.config, "item")
    users = with_cohort(run, "user")
    slices = Slices.of(run.read("user_features", run.data_date).count())
    to_lists = lists_by(run, version, pool, groups, slices)
    for bucket in buckets_to_commit(run, "scores_staging", slices.buckets):
        own = slices.of_bucket(users, bucket)
        lists = to_lists(with_group_features(own, groups, run.config, "user"), bucket)
        lists = lists.withColumn("fingerprint", F.lit(run.fingerprint))
        run.commit_bucket("scores_staging", lists, bucket, slices.buckets)
    run.note(served_by(version))


def lists_by(
    run: Run, version: str | None, pool: DataFrame, groups: Mapping[str, DataFrame], slices: Slices
) -> ToLists:
    """Return what makes lists by a model, or by means where there is no champion.

    A bundle that does not fit the feature tables or the cohorts is refused.
    """
    schema = run.catalog["scores_staging"].schema
    made = T.StructType([field for field in schema.fields if field.name != "fingerprint"])
    if version is None:
        means = run.read("group_means", run.data_date)
        return lambda users, bucket: to_baseline_lists(users, pool, means, slices, run.config, made)
    bundle = read_bundle(run.catalog.bundle(version))
    check_fits(bundle, run.catalog.input_types(), run.config.cohorts.by_column)
    encoded_pool, keys = to_pool(run.spark, pool, groups, bundle, run.config, run.data_date)
    run.note(f"{len(encoded_pool.item_ids)} items")

    def to_lists(users: DataFrame, bucket: int) -> DataFrame:
        crosses = {group: slices.of_bucket(groups[group], bucket) for group in keys}
        users = with_user_vectors(users, keys, crosses, bundle.encoder, run.config, run.data_date)
        return to_model_lists(users, encoded_pool, bundle, slices, run.config, made)

    return to_lists


def with_cohort(run: Run, entity: str) -> DataFrame:
    """Return the features of all users or items as of the data date, with their cohort."""
    features = run.read(f"{entity}_features", run.data_date)
    cohorts = run.read(f"{entity}_cohorts", run.data_date)
    labels = cohorts.select(f"{entity}_id", F.col("cohort").alias(f"{entity}_cohort"))
    return features.join(labels, on=f"{entity}_id", how="inner")


if __name__ == "__main__":
    score.main()
