"""Published lists of a small store: what an export reads."""

from datetime import date
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from core.load import load_config
from jobs.tables.declarations.serving import serving_tables
from jobs.tables.store import Store
from tests.jobs.tables.small import small_store

FIRST, SECOND = date(2022, 5, 7), date(2022, 5, 8)
VERSIONS = {FIRST: "2022-05-07-" + "7" * 12, SECOND: "2022-05-08-" + "8" * 12}
RANKS = 3


def lists_store(folder: Path) -> Store:
    """The tables of lists, and nothing in them; two calls see the same ones."""
    return small_store(folder, *serving_tables(load_config()))


def publish(spark: SparkSession, store: Store, seq: int, day: date, users: int) -> None:
    """Serve lists of as many users; the day is in each score."""
    fingerprint = str(day.day) * 64
    row = {"seq": seq, "data_date": day, "action": "publish", "reason": "", "model_version": f"ple-{day.day}"}
    row |= {"scores_version": seq, "fingerprint": fingerprint}
    store.append_rows("publications", [row], "test", {})
    declared = store.catalog["current_scores"]
    made = spark.range(users).withColumnRenamed("id", "user_id")
    made = made.withColumn("rank", F.explode(F.sequence(F.lit(1), F.lit(RANKS))))
    made = made.withColumns(
        {
            "data_date": F.lit(day),
            "list": F.lit("home"),
            "placement_probability": F.lit(1.0),
            "item_id": F.col("user_id") * 10 + F.col("rank"),
            "score": F.lit(float(day.day)),
            "cohort": F.lit("new"),
            "model_version": F.lit(f"ple-{day.day}"),
        }
        | {name: F.lit(0.5) for name in declared.columns if name.startswith("p_")}
    )
    typed = [F.col(name).cast(kind) for name, kind in declared.columns.items()]
    metadata = {"run_id": f"run {seq}", "made_of": str(seq)}
    store.replace("current_scores", made.select(*typed), "true", metadata, users * RANKS)
