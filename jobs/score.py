"""Score every user against the pool of the night, and keep each one's best items.

spark-submit jobs/score.py --data-date 2022-05-07

Users travel through Arrow, a bucket at a time; pairs exist only inside torch. All users as of the data
date are scored, also those without one event, by the champion as of the data date.
Cost: users x items of the pool forward passes; nothing grows with history.
"""

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema

from core.errors import LamplighterError
from features.candidates import to_item_pool
from features.encoding import encoded
from jobs.runtime.job import job
from jobs.runtime.progress import spark_progress
from jobs.runtime.run import Run
from jobs.tables.registry import champion_as_of
from jobs.workers.inference import to_arrays, to_lists
from models.serving.bundle import Bundle, check_fits, read_bundle
from models.serving.scorer import Pool


@job
def score(run: Run) -> None:
    """Replace the data date of `scores_staging`."""
    run.require_inputs()
    model_version = version_to_use(run)
    bundle = read_bundle(run.catalog.bundle(model_version))
    check_bundle(run, bundle)

    pool = read_pool(run, bundle)
    users = read_users(run, bundle)
    with spark_progress(run.spark, f"score {run.last}: tasks"):
        lists = run.compute(score_users(run, bundle, users, pool))
    run.replace("scores_staging", lists)
    run.entry.facts |= {"model_version": model_version, "pool": len(pool.item_ids)}
    run.notes.append(f"{model_version} on {len(pool.item_ids)} items")


def version_to_use(run: Run) -> str:
    """The champion as of the data date, or the version of `--model`.

    Raises:
        LamplighterError: there is none.
    """
    if run.arguments.model is not None:
        return run.lineage().model_version(run.last)
    champion = champion_as_of(run.store, run.last)
    if champion is None:
        raise LamplighterError(
            f"no champion as of {run.last}: no candidate was promoted up to then; run the training steps "
            "(build_examples, pack, train, evaluate, promote) for a date up to it first"
        )
    return champion


def check_bundle(run: Run, bundle: Bundle) -> None:
    """Refuse a bundle that no longer fits the feature tables or the cohorts."""
    check_fits(bundle, run.catalog.input_types(), run.config.cohorts.by_column)


def read_pool(run: Run, bundle: Bundle) -> Pool:
    """The night's items and the context of lists, encoded; bounded by `candidates`."""
    features = run.read("item_features", run.last)
    cohorts = run.read("item_cohorts", run.last).select("item_id", F.col("cohort").alias("item_cohort"))
    items = features.join(to_item_pool(features, run.config.candidates, run.config.exposure), on="item_id", how="left_semi")
    items = items.join(cohorts, on="item_id", how="inner")
    side = bundle.encoder.side("item")
    columns = items.select("item_id", "item_cohort", *encoded(items, side))
    rows: pd.DataFrame = columns.orderBy("item_id").toPandas()
    if rows.empty:
        raise LamplighterError(f"item_features has no item as of {run.last}; build features first")
    context = run.spark.createDataFrame(
        [tuple(run.config.list_context.values())], list(run.config.list_context)
    )
    context_side = bundle.encoder.side("context")
    one_row: pd.DataFrame = context.select(*encoded(context, context_side)).toPandas()
    categorical, dense = to_arrays(one_row, context_side)
    return Pool(
        item_ids=rows["item_id"].to_numpy(),
        item_group=bundle.places("item_cohort", rows["item_cohort"].to_numpy()),
        items=to_arrays(rows, side),
        context=(categorical[0], dense[0]),
    )


def read_users(run: Run, bundle: Bundle) -> DataFrame:
    """All users as of the data date, encoded, with cohort and bucket."""
    features = run.read("user_features", run.last)
    cohorts = run.read("user_cohorts", run.last).select("user_id", F.col("cohort").alias("user_cohort"))
    users = features.join(cohorts, on="user_id", how="inner")
    bucket = F.pmod(F.xxhash64("user_id"), F.lit(run.config.ranking.buckets)).cast("int")
    users = users.repartition(run.config.ranking.buckets, bucket)  # AQE would make one task of small tables
    return users.select(
        "user_id",
        "data_date",
        "user_cohort",
        bucket.alias("bucket"),
        *encoded(users, bundle.encoder.side("user")),
    )


def score_users(run: Run, bundle: Bundle, users: DataFrame, pool: Pool) -> DataFrame:
    """Each user's top list, one row a rank."""
    schema = run.catalog["scores_staging"].schema
    made_here = [field for field in schema.fields if field.name != "fingerprint"]
    arrow_schema = to_arrow_schema(type(schema)(made_here))
    lists = to_lists(
        str(run.catalog.bundle(bundle.manifest.model_version)),
        pool,
        run.config.ranking.weights,
        run.config.ranking.top_k,
        arrow_schema,
    )
    rows = users.groupBy("bucket").applyInArrow(lists, type(schema)(made_here))
    return rows.withColumn("fingerprint", F.lit(run.fingerprint))


if __name__ == "__main__":
    score.main()
