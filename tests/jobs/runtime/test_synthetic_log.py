"""A synthetic log by Spark: the same files whatever the tasks, and `ingest` finds in it what it says."""

import json
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from core.errors import ConfigError
from jobs.runtime.arguments import Arguments
from jobs.runtime.pipeline import all_jobs
from jobs.runtime.project import Project
from jobs.runtime.synthetic_log import generate, to_truth
from jobs.workers.synthetic import files
from jobs.workers.synthetic.spec import LogSpec

SPEC = LogSpec(
    seed=5,
    events_per_day=400,
    days=6,
    users=500,
    items=50,
    new_users=0.02,
    late=0.1,
    duplicates=0.05,
    broken=0.04,
    first_date=date(2024, 2, 26),  # with a leap day
)


def test_files_do_not_depend_on_tasks_and_ingest_finds_what_the_truth_says(
    spark: SparkSession, tmp_path: Path
) -> None:
    truth = generate(spark, SPEC, tmp_path / "spark")
    counts = {
        (day, late, fate): rows
        for day in reversed(range(SPEC.days))
        for (late, fate), rows in files.write_log_file(SPEC, tmp_path / "alone", day, 0).items()
    }
    files.write_users(SPEC, tmp_path / "alone", 0)
    files.write_items(SPEC, tmp_path / "alone", 0)
    assert contents(tmp_path / "spark") == contents(tmp_path / "alone")
    assert truth == to_truth(SPEC, counts)
    written = [json.loads(line) for line in (tmp_path / "spark" / "truth.jsonl").read_text().splitlines()]
    assert {row.pop("data_date"): row for row in written} == truth

    ask = Arguments(
        SPEC.first_date,
        SPEC.date_of(SPEC.days - 1),
        dataset="synthetic",
        settings=(
            f"source.root={tmp_path / 'spark'}",
            f"paths.warehouse={tmp_path / 'warehouse'}",
            "runtime.cores=2",
            "source.events.max_failing_share=0.2",
        ),
    )
    for name in ("scan_sources", "ingest"):
        all_jobs()[name](ask)
    store = Project(ask).store
    balance = {str(row["data_date"]): row for row in store.rows("row_balance")}
    assert balance.keys() == truth.keys()
    for day, said in truth.items():
        found = balance[day]
        failed = ("too_late", "no_user", "no_time", "wrong_click", "wrong_seconds")
        assert {name: found[name] for name in ("accepted", "duplicates")} == {
            name: said[name] for name in ("accepted", "duplicates")
        }
        assert found["late"] == said["late"]
        assert found["failed"] == sum(said[name] for name in failed)
        assert found["conflicts"] == 0
    rules = {
        row["rule"]: row["count"]
        for row in store.read(spark, "quarantine")
        .select(F.explode("failed_rules").alias("rule"))
        .groupBy("rule")
        .count()
        .collect()
    }
    assert rules["too_late"] == sum(said["too_late"] for said in truth.values())


def test_a_folder_with_another_log_is_left_alone(spark: SparkSession, tmp_path: Path) -> None:
    small = SPEC.model_copy(update={"days": 1, "events_per_day": 10})
    (tmp_path / "spec.json").write_text(json.dumps(SPEC.model_dump(mode="json"), indent=1) + "\n")

    with pytest.raises(ConfigError, match="holds a log of other values"):
        generate(spark, small, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["spec.json"]


def contents(folder: Path) -> dict[str, bytes]:
    found = [file for part in ("log", "users", "items") for file in (folder / part).rglob("*.parquet")]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in found}
