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


@pytest.fixture(scope="module")
def folder(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("log")
    generate(spark, SPEC, made)
    return made


def test_files_and_truth_do_not_depend_on_tasks_and_their_order(folder: Path, tmp_path: Path) -> None:
    counts = {
        (day, late, fate): rows
        for day in reversed(range(SPEC.days))
        for (late, fate), rows in files.write_log_file(SPEC, tmp_path, day, 0).items()
    }
    files.write_users(SPEC, tmp_path, 0)
    files.write_items(SPEC, tmp_path, 0)

    assert contents(folder) == contents(tmp_path)
    assert truth_of(folder) == to_truth(SPEC, counts)


@pytest.mark.slow
def test_ingest_finds_what_the_truth_says(spark: SparkSession, folder: Path, tmp_path: Path) -> None:
    ask = Arguments(
        SPEC.first_date,
        SPEC.date_of(SPEC.days - 1),
        dataset="synthetic",
        settings=(
            f"source.root={folder}",
            f"paths.warehouse={tmp_path}",
            "runtime.cores=2",
            "source.events.max_failing_share=0.2",
        ),
    )

    for name in ("scan_sources", "ingest"):
        all_jobs()[name](ask)

    store = Project(ask).store
    faults = ("too_late", "no_user", "no_time", "wrong_click", "wrong_seconds")
    found = {
        str(row["data_date"]): [row[n] for n in ("accepted", "duplicates", "late", "failed", "conflicts")]
        for row in store.rows("row_balance")
    }
    assert found == {
        day: [said["accepted"], said["duplicates"], said["late"], sum(said[n] for n in faults), 0]
        for day, said in truth_of(folder).items()
    }
    rules = store.read(spark, "quarantine").select(F.explode("failed_rules").alias("rule")).groupBy("rule")
    by_rule = {row["rule"]: row["count"] for row in rules.count().collect()}
    assert by_rule["too_late"] == sum(said["too_late"] for said in truth_of(folder).values()) > 0


def test_a_folder_with_another_log_is_left_alone(spark: SparkSession, tmp_path: Path) -> None:
    small = SPEC.model_copy(update={"days": 1, "events_per_day": 10})
    (tmp_path / "spec.json").write_text(json.dumps(SPEC.model_dump(mode="json"), indent=1) + "\n")

    with pytest.raises(ConfigError, match="holds a log of other values"):
        generate(spark, small, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["spec.json"]


def contents(folder: Path) -> dict[str, bytes]:
    found = [file for part in ("log", "users", "items") for file in (folder / part).rglob("*.parquet")]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in found}


def truth_of(folder: Path) -> dict[str, dict[str, int]]:
    rows = [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]
    return {row.pop("data_date"): row for row in rows}
