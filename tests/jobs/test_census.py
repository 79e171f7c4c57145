"""A data set without times and without items: a slice of Census-Income, up to its probabilities."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from core.load import PROJECT_DIR
from jobs.runtime.arguments import Arguments
from jobs.runtime.night import run_history, run_night, steps_of_night
from jobs.runtime.project import Project

DAY_BEFORE, TEST_DATE = date(1994, 12, 31), date(1995, 1, 3)
ONE_IN = 60


@pytest.mark.slow
def test_a_data_set_without_times_and_items_is_evaluated(spark: SparkSession, tmp_path: Path) -> None:
    persons = {name: _slice(name, tmp_path) for name in ("train", "validation", "test")}
    settings = (
        f"source.root={tmp_path}",
        f"paths.warehouse={tmp_path}/warehouse",
        f"paths.reports={tmp_path}/warehouse/reports",
        "runtime.spark={spark.master: 'local[2]', spark.sql.shuffle.partitions: '2', "
        "spark.sql.adaptive.enabled: 'false'}",
        *("training.distributed=single", "training.reader=pyarrow", "training.ranks=1", "training.shards=1"),
        "training.block_rows=128",
        "model.optimiser.batch_rows=128",
        "model.optimiser.max_epochs=3",
        "evaluation.replicates=20",
    )
    ask = Arguments(
        DAY_BEFORE,
        date(1995, 1, 2),
        dataset="census",
        settings=settings,
        project=PROJECT_DIR,
        allow_empty=True,
    )
    night = Arguments(TEST_DATE, TEST_DATE, dataset="census", settings=settings, project=PROJECT_DIR)

    run_history(ask)
    steps = steps_of_night(Project(night))
    run_night(night, steps[: steps.index("publish") + 1])

    store = Project(night).store
    accepted = {str(row["data_date"]): row["accepted"] for row in store.rows("row_balance")}
    assert accepted == {
        "1994-12-31": 0,
        "1995-01-01": persons["train"],
        "1995-01-02": persons["validation"],
        "1995-01-03": persons["test"],
    }
    examples = store.read(spark, "examples").groupBy("data_date").count().orderBy("data_date").collect()
    assert [row["count"] for row in examples] == [*persons.values()]
    unknown = store.read(spark, "examples").where(F.col("user_age").isNull()).count()
    assert unknown == 0
    auc = {
        row["task"]: row["value"]
        for row in store.rows("evaluations")
        if row["metric"] == "auc" and row["cohort"] == "all" and row["model_version"].startswith("ple")
    }
    assert auc["income"] > 0.7
    assert auc["never_married"] > 0.85
    served = store.read(spark, "scores").join(
        store.read(spark, "examples").select("user_id", "label_income"), on="user_id", how="inner"
    )
    rows = served.where("data_date = DATE'1995-01-03'").toPandas()
    assert len(rows) == rows["user_id"].nunique() == sum(persons.values())
    assert rows[["item_id", "score", "placement_probability"]].isna().all(axis=None)
    assert {*rows["list"]} == {"persons"}
    assert rows[["p_income", "p_never_married"]].stack().between(0, 1, inclusive="neither").all()
    means = rows.groupby("label_income")["p_income"].mean()
    assert means[1] > 2 * means[0]


def _slice(name: str, folder: Path) -> int:
    rows: pa.Table = pq.read_table(PROJECT_DIR / "data" / "census_income" / f"{name}.parquet")
    person = rows["person"]
    kept = rows.filter(pc.equal(person, pc.multiply(pc.divide(person, ONE_IN), ONE_IN)))
    pq.write_table(kept, folder / f"{name}.parquet")
    return int(kept.num_rows)
