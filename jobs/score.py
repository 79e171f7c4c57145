"""Score every user against the pool of the night, and keep each one's best items.

spark-submit jobs/score.py --data-date 2022-05-07

Users travel through Arrow, a bucket at a time; pairs exist only inside torch. All users as of the data
date are scored, also those without one event, by the champion as of the data date, or by the newest
version of `--model`. Where no model has become champion yet, the baseline `group_mean` makes the lists.
Cost: users x items of the pool forward passes, and the pairs of the crosses that the model reads; nothing
grows with history.
"""

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from features.candidates import to_item_pool
from features.groups import with_group_features
from jobs.runtime.group_tables import read_keyed_groups
from jobs.runtime.job import ONE, job
from jobs.runtime.reads import STATE, champion, same_day
from jobs.runtime.run import Run
from jobs.workers.baseline_lists import to_baseline_lists
from jobs.workers.crosses import with_user_vectors
from jobs.workers.scoring import to_model_lists, to_pool
from models.serving.bundle import check_fits, read_bundle
from quality.served import served_by


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
    """Replace the data date of `scores_staging`."""
    version = run.champion()
    groups = read_keyed_groups(run, run.data_date)
    items = with_cohort(run, "item")
    pool = items.join(
        to_item_pool(items, run.config.candidates, run.config.exposure), on="item_id", how="left_semi"
    )
    pool = with_group_features(pool, groups, run.config, "item")
    users = with_group_features(with_cohort(run, "user"), groups, run.config, "user")
    schema = run.catalog["scores_staging"].schema
    made = T.StructType([field for field in schema.fields if field.name != "fingerprint"])

    if version is None:
        lists = to_baseline_lists(users, pool, run.read("group_means", run.data_date), run.config, made)
    else:
        lists = to_lists_of(run, version, users, pool, groups, made)
    run.commit("scores_staging", lists.withColumn("fingerprint", F.lit(run.fingerprint)))
    run.note(served_by(version))


def to_lists_of(
    run: Run,
    version: str,
    users: DataFrame,
    pool: DataFrame,
    groups: Mapping[str, DataFrame],
    made: T.StructType,
) -> DataFrame:
    """Return the lists of one model; refuse a bundle that does not fit the feature tables or the cohorts."""
    bundle = read_bundle(run.catalog.bundle(version))
    check_fits(bundle, run.catalog.input_types(), run.config.cohorts.by_column)
    encoded_pool, keys = to_pool(run.spark, pool, groups, bundle, run.config, run.data_date)
    run.note(f"{len(encoded_pool.item_ids)} items")
    users = with_user_vectors(users, keys, groups, bundle.encoder, run.config, run.data_date)
    return to_model_lists(users, encoded_pool, bundle, run.config, made)


def with_cohort(run: Run, entity: str) -> DataFrame:
    """Return the features of all users or items as of the data date, with their cohort."""
    features = run.read(f"{entity}_features", run.data_date)
    cohorts = run.read(f"{entity}_cohorts", run.data_date)
    labels = cohorts.select(f"{entity}_id", F.col("cohort").alias(f"{entity}_cohort"))
    return features.join(labels, on=f"{entity}_id", how="inner")


if __name__ == "__main__":
    score.main()
