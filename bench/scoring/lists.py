"""What do lists of all users cost, against UDFs over joined pairs?

python -m bench.scoring.lists
python -m bench.scoring.lists --users 1000 --turns 1

Spark with two tasks, PLE of the demo's size and of bench.speed's, 300 items. What is written first is users x
items joined by Spark, a UDF that runs the model over each batch of pairs, a window that keeps each user's 20
best: (a) a pandas UDF over encoded columns, (b) `mlflow.pyfunc.spark_udf` of the bundle over raw ones. Ours
is what `score` does before it commits. All by turns in one run, after one call of each, which starts the
workers; (b) for as few users as `--users-of-mlflow` says, since it takes long. The scores of all lists are
compared, rank by rank: items whose scores differ by less than rounding may change places.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import cast

import mlflow
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.functions import pandas_udf

from bench.scoring.__main__ import RANKING, TOP_K, seconds
from bench.scoring.models import COHORTS, COLUMNS, to_bundle, to_list
from bench.tables import print_table
from core.encoder import Encoder, Entity
from features.encoding import encoded
from jobs.workers.bundles import to_arrays
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
    parser.add_argument("--users", type=int, default=8000)
    parser.add_argument("--users-of-mlflow", type=int, default=500)
    parser.add_argument("--turns", type=int, default=3)
    asked = parser.parse_args()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    spark = two_tasks()
    with tempfile.TemporaryDirectory(prefix="lists-") as folder:
        rows = [
            row
            for size in ("demo", "large")
            for row in measure(spark, size, asked.users, asked.users_of_mlflow, asked.turns, Path(folder))
        ]
    spark.stop()
    head = ["PLE", "way", "users", "pairs/s", "ours / it (over turns)", "largest difference of scores"]
    print_table(head, rows)


def two_tasks() -> SparkSession:
    """Return a session of this machine that runs two tasks at once."""
    return (
        SparkSession.builder.master("local[2]")
        .config("spark.sql.shuffle.partitions", "8")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.driver.memory", "4g")
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )


def measure(
    spark: SparkSession, size: str, count: int, count_of_mlflow: int, turns: int, folder: Path
) -> list[tuple[str, ...]]:
    """Return a row of the table per way.

    Raises:
        SystemExit: lists differ in length, or in a score by more than 1e-6.
    """
    bundle = to_bundle(folder, "ple", size)
    items = to_items(spark, bundle.encoder).persist()
    pool = to_encoded_pool(items, bundle.encoder)
    users = to_users(spark, count).persist()
    few = users.where(F.col("user_id") < count_of_mlflow)
    ways: dict[str, tuple[int, Callable[[], DataFrame]]] = {
        "ours": (count, lambda: our_lists(users, pool, bundle)),
        "pandas UDF": (count, lambda: best(pandas_udf_scores(users, items, bundle))),
        "mlflow.pyfunc.spark_udf": (count_of_mlflow, lambda: best(mlflow_scores(few, items, bundle))),
    }
    ours = collected(ways["ours"][1]())
    differences = {}
    for name, (users_of_way, way) in ways.items():
        found = ours if name == "ours" else collected(way())
        if len(found) != users_of_way * TOP_K:
            raise SystemExit(f"{size}, {name}: {len(found)} rows of lists; expected {users_of_way * TOP_K}")
        differences[name] = float((found["score"] - ours["score"].loc[found.index]).abs().max())
    if max(differences.values()) > 1e-6:
        raise SystemExit(f"{size}: scores differ by {differences}; expected 1e-6")
    per_second = {name: np.empty(turns) for name in ways}
    for turn in range(turns):
        for name, (users_of_way, way) in ways.items():
            per_second[name][turn] = users_of_way * ITEMS / seconds(_written(way))
    return [
        (
            size,
            name,
            f"{users_of_way:,}",
            f"{np.median(per_second[name]):,.0f}",
            _spread(per_second["ours"] / per_second[name]),
            f"{differences[name]:.0e}",
        )
        for name, (users_of_way, _) in ways.items()
    ]


def _spread(ratios: NDArray[np.float64]) -> str:
    return f"{np.median(ratios):.1f} ({ratios.min():.1f} .. {ratios.max():.1f})"


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


def pandas_udf_scores(users: DataFrame, items: DataFrame, bundle: Bundle) -> DataFrame:
    """Return user_id, item_id and probabilities of all pairs by a pandas UDF over encoded columns."""
    path, encoder = str(bundle.path), bundle.encoder

    @pandas_udf("array<double>")  # type: ignore[call-overload, untyped-decorator]
    def probabilities(rows: pd.DataFrame) -> pd.Series:
        z = calibrated_logits(path, rows)
        return pd.Series(list(1 / (1 + np.exp(-z))))

    mine = users.select("user_id", "user_cohort", *encoded(users, encoder.side("user")))
    theirs = items.select("item_id", "item_cohort", *_encoded_items(items, encoder))
    pairs = mine.crossJoin(F.broadcast(theirs))
    return pairs.select("user_id", "item_id", probabilities(F.struct(*pairs.columns)).alias("p"))


def mlflow_scores(users: DataFrame, items: DataFrame, bundle: Bundle) -> DataFrame:
    """Return the same by MLflow's UDF of the bundle over raw columns."""
    path = str(bundle.path)
    udf = mlflow.pyfunc.spark_udf(users.sparkSession, path, result_type="array<double>", env_manager="local")
    pairs = users.drop("data_date").crossJoin(F.broadcast(items))
    inputs = F.struct(*bundle.manifest.row_columns)
    return pairs.select("user_id", "item_id", udf(inputs).alias("p"))


def best(scored: DataFrame) -> DataFrame:
    """Return the lists of scored pairs."""
    product = F.aggregate("p", F.lit(1.0), lambda a, b: a * b)
    by_score = Window.partitionBy("user_id").orderBy(F.col("score").desc(), "item_id")
    ranked = scored.withColumn("score", product).withColumn("rank", F.row_number().over(by_score))
    return ranked.where(F.col("rank") <= TOP_K)


def to_items(spark: SparkSession, encoder: Encoder) -> DataFrame:
    """Return items with raw values of the encoder's columns, and those of one context."""
    random = np.random.default_rng(2)
    columns: dict[str, object] = {"item_id": np.arange(ITEMS)}
    columns["item_cohort"] = np.where(np.arange(ITEMS) % 10 == 0, *COHORTS["item_cohort"])
    for side, rows in (("item", ITEMS), ("context", 1)):
        for each in encoder.side(cast(Entity, side)).categorical:
            columns[each.column] = np.resize(random.integers(0, 10**6, rows), ITEMS)
        for dense in encoder.side(cast(Entity, side)).dense:
            columns[dense.column] = np.resize(random.normal(size=rows), ITEMS)
    return spark.createDataFrame(pd.DataFrame(columns))


def to_encoded_pool(items: DataFrame, encoder: Encoder) -> Pool:
    """Return the items as `score` sends them to workers."""
    encoded_columns = _encoded_items(items, encoder)
    rows: pd.DataFrame = items.select("item_id", "item_cohort", *encoded_columns).toPandas()
    rows = rows.sort_values("item_id")
    cohorts = COHORTS["item_cohort"]
    context = to_arrays(rows[:1], encoder.side("context"))
    return Pool(
        rows["item_id"].to_numpy(),
        np.array([cohorts.index(name) for name in rows["item_cohort"]]),
        to_arrays(rows, encoder.side("item")),
        (context[0][0], context[1][0]),
    )


def _encoded_items(items: DataFrame, encoder: Encoder) -> list[Column]:
    return [*encoded(items, encoder.side("item")), *encoded(items, encoder.side("context"))]


if __name__ == "__main__":
    main()
