"""What do lists of all users cost, against a pandas UDF over joined pairs?

python -m bench.scoring.lists
python -m bench.scoring.lists --users 1000 --turns 1

Spark with two tasks, PLE of the demo's size and of bench.speed's, 300 items. The naive way is what is written
first: users x items joined by Spark, a pandas UDF that runs the model over each batch of pairs, a window that
keeps each user's 20 best. Ours is what `score` does before it commits. Both by turns in one run, after one
call of each that starts the workers. The scores of all lists are compared, rank by rank: items whose scores
differ by less than rounding may change places.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.functions import pandas_udf

from bench.scoring.__main__ import RANKING, TOP_K, seconds
from bench.scoring.models import COHORTS, COLUMNS, to_bundle, to_list, to_pool
from bench.tables import print_table
from core.encoder import Encoder
from features.encoding import encoded
from jobs.workers.bundles import cat_columns, dense_columns
from jobs.workers.inference import calibrated_logits
from jobs.workers.listing import NightLists, Unit
from jobs.workers.predictors import ModelPredictor
from jobs.workers.scoring import to_night_lists
from jobs.workers.slices import Slices
from models.serving.bundle import Bundle
from models.serving.scorer import Pool

ITEMS, COHORT, DAY = 300, "high", date(2022, 5, 8)
SCHEMA = f"""user_id bigint, data_date date, list string, rank int, item_id bigint,
    {", ".join(f"p_{task} double" for task in RANKING)}, score double,
    placement_probability double, cohort string, model_version string,
    bucket int"""


def main() -> None:
    """Measure, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--users", type=int, default=4000)
    parser.add_argument("--turns", type=int, default=3)
    asked = parser.parse_args()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.sql.shuffle.partitions", "8")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.driver.memory", "4g")
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    with tempfile.TemporaryDirectory(prefix="lists-") as folder:
        rows = [measure(spark, size, asked.users, asked.turns, Path(folder)) for size in ("demo", "large")]
    spark.stop()
    head = ["PLE", "pandas UDF over pairs, pairs/s", "ours, pairs/s", "times as fast (over turns)"]
    print_table([*head, "largest difference of scores"], rows)


def measure(spark: SparkSession, size: str, count: int, turns: int, folder: Path) -> tuple[str, ...]:
    """Return one row of the table.

    Raises:
        SystemExit: lists differ in length, or in a score by more than 1e-6.
    """
    bundle, pool = to_bundle(folder, "ple", size), to_pool(ITEMS)
    users = to_users(spark, count).persist()
    users.count()
    ways: dict[str, Callable[[], DataFrame]] = {
        "naive": lambda: naive_lists(spark, users, pool, bundle),
        "ours": lambda: our_lists(users, pool, bundle),
    }
    naive, ours = (collected(way()) for way in ways.values())
    if not len(naive) == len(ours) == count * TOP_K:
        raise SystemExit(f"{size}: {len(naive)} and {len(ours)} rows of lists; expected {count * TOP_K}")
    difference = float((naive["score"] - ours["score"]).abs().max())
    if difference > 1e-6:
        raise SystemExit(f"{size}: scores differ by {difference:.1e}; expected 1e-6")
    times = np.array([[seconds(_written(way)) for way in ways.values()] for _ in range(turns)])
    ratios, rates = times[:, 0] / times[:, 1], count * ITEMS / np.median(times, axis=0)
    spread = f"{np.median(ratios):.1f} ({ratios.min():.1f} .. {ratios.max():.1f})"
    return (size, *(f"{rate:,.0f}" for rate in rates), spread, f"{difference:.0e}")


def collected(lists: DataFrame) -> pd.DataFrame:
    """Return lists by user and rank."""
    rows: pd.DataFrame = lists.toPandas()
    return rows.set_index(["user_id", "rank"]).sort_index()


def _written(way: Callable[[], DataFrame]) -> Callable[[], None]:
    return lambda: way().write.format("noop").mode("overwrite").save()


def to_users(spark: SparkSession, count: int) -> DataFrame:
    """Return users of one cohort with raw values of the encoder's columns."""
    random = np.random.default_rng(1)
    columns: dict[str, object] = {"user_id": np.arange(count), "data_date": DAY, "user_cohort": COHORT}
    for n in range(COLUMNS["user"]):
        columns |= {f"user_{n}_id": random.integers(0, 10**6, count), f"user_{n}": random.normal(size=count)}
    return spark.createDataFrame(pd.DataFrame(columns)).repartition(8)


def our_lists(users: DataFrame, pool: Pool, bundle: Bundle) -> DataFrame:
    """Return the lists as `score` makes them."""
    unit = Unit(ModelPredictor(str(bundle.path), pool), (to_list(pool, RANKING, TOP_K),))
    night = NightLists(bundle.manifest.model_version, pool.item_ids, (unit,), tuple(RANKING))
    columns = encoded(users, bundle.encoder.side("user"))
    schema = cast(T.StructType, T.StructType.fromDDL(SCHEMA))
    return to_night_lists(users, night, columns, Slices(1, 8), schema)


def naive_lists(spark: SparkSession, users: DataFrame, pool: Pool, bundle: Bundle) -> DataFrame:
    """Return the lists by a pandas UDF over joined pairs."""
    path, side = str(bundle.path), bundle.encoder.side("user")

    @pandas_udf("array<double>")  # type: ignore[call-overload, untyped-decorator]
    def probabilities(rows: pd.DataFrame) -> pd.Series:
        z = calibrated_logits(path, rows)
        return pd.Series(list(1 / (1 + np.exp(-z))))

    mine = users.select("user_id", "user_cohort", *encoded(users, side))
    pairs = mine.crossJoin(F.broadcast(to_items(spark, pool, bundle.encoder)))
    scored = pairs.select("user_id", "item_id", probabilities(F.struct(*pairs.columns)).alias("p"))
    product = F.aggregate("p", F.lit(1.0), lambda a, b: a * b)
    best = Window.partitionBy("user_id").orderBy(F.col("score").desc(), "item_id")
    ranked = scored.withColumn("score", product).withColumn("rank", F.row_number().over(best))
    return ranked.where(F.col("rank") <= TOP_K)


def to_items(spark: SparkSession, pool: Pool, encoder: Encoder) -> DataFrame:
    """Return encoded columns of the items, with those of the context."""
    items, context = encoder.side("item"), encoder.side("context")
    columns: dict[str, object] = {"item_id": pool.item_ids}
    columns["item_cohort"] = np.array(COHORTS["item_cohort"])[pool.item_group]
    columns |= dict(zip(cat_columns(items), pool.items[0].T, strict=True))
    columns |= dict(zip(dense_columns(items), pool.items[1].T, strict=True))
    columns |= dict(zip(cat_columns(context), pool.context[0], strict=True))
    columns |= dict(zip(dense_columns(context), pool.context[1], strict=True))
    return spark.createDataFrame(pd.DataFrame(columns))


if __name__ == "__main__":
    main()
