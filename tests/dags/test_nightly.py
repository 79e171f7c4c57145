"""The DAG holds one task per job, ordered as jobs declare; it retries all exit codes but 2 and 3."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
AIRFLOW = ROOT / ".venv-airflow" / "bin"


JOBS = json.loads((ROOT / "dags" / "jobs.json").read_text())
NAMES = [job["name"] for job in JOBS]


def test_the_dag_submits_files_that_exist() -> None:
    assert [name for name in NAMES if not (ROOT / "jobs" / f"{name}.py").is_file()] == []


# --- in Airflow's own environment ---------------------------------------------------------------

needs_airflow = pytest.mark.skipif(
    not (ROOT / ".venv-airflow" / "ready").exists(), reason="no .venv-airflow: make test-slow makes it"
)
SUBMIT = """#!/bin/sh
# Stands in for spark-submit: notes its arguments, and ends with a chosen exit code for one job.
echo "$@" >>"$NOTES"
case "$*" in *"/jobs/$ENDING_JOB.py"*) exit "$ENDING_CODE" ;; esac
"""


@pytest.fixture(scope="module")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An Airflow of its own: database, logs, and a stand-in for spark-submit."""
    home = tmp_path_factory.mktemp("airflow")
    (home / "bin").mkdir()
    (home / "bin" / "spark-submit").write_text(SUBMIT)
    (home / "bin" / "spark-submit").chmod(0o755)
    subprocess.run(
        [AIRFLOW / "airflow", "db", "migrate"], env=environment(home), check=True, capture_output=True
    )
    return home


def environment(home: Path, **more: str) -> dict[str, str]:
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps({"conn_type": "spark", "host": "local[2]"}),
        "PATH": os.pathsep.join([str(home / "bin"), os.environ["PATH"]]),
        "NOTES": str(home / "notes"),
        "ENDING_JOB": "none",
    }
    return {**os.environ, **settings, **more}


def probe(home: Path, *arguments: str, **more: str) -> dict[str, Any]:
    """Return what tests/dags/probe.py prints in Airflow's environment."""
    (home / "notes").write_text("")
    command = [AIRFLOW / "python", Path(__file__).with_name("probe.py"), *arguments]
    done = subprocess.run(
        command, cwd=home, env=environment(home, **more), capture_output=True, text=True, check=True
    )
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts


@pytest.mark.slow
@needs_airflow
def test_airflow_imports_the_dag_as_a_chain_of_spark_submits(airflow_home: Path) -> None:
    facts = probe(airflow_home, "structure")

    assert facts["import_errors"] == {}
    after = {name: {job["name"] for job in JOBS if name in job["after"]} for name in NAMES}
    assert {name: set(edges) for name, edges in facts["edges"].items()} == after
    assert "SparkSubmitOperator" in facts["operators"]
    assert facts["retries"] == [2]
    assert facts["max_active_runs"] == 1
    assert facts["date_of_schedule"] == "2022-05-08"  # 18:00 UTC of the day before: 02:00 in Shanghai


@pytest.mark.slow
@needs_airflow
def test_every_job_gets_the_data_date_and_score_keeps_to_the_champion(airflow_home: Path) -> None:
    facts = probe(airflow_home, "run", json.dumps({"data_date": "2022-05-08", "model": "mfh"}))

    commands = (airflow_home / "notes").read_text().splitlines()
    submitted = {Path(word).stem: line for line in commands for word in line.split() if "/jobs/" in word}
    assert facts["state"] == "success"
    assert set(submitted) == set(NAMES)
    flags = "--night-step --data-date 2022-05-08 --dataset kuairand --env local"
    assert all(flags in line for line in commands)
    with_model = {name for name, line in submitted.items() if "--model mfh" in line}
    assert with_model == {job["name"] for job in JOBS if job["per_model"]}


@pytest.mark.slow
@needs_airflow
@pytest.mark.parametrize(("code", "tries"), [("2", 1), ("3", 1), ("1", 3)])
def test_only_exit_codes_that_may_get_better_are_tried_again(
    airflow_home: Path, code: str, tries: int
) -> None:
    facts = probe(
        airflow_home, "run", json.dumps({"data_date": "2022-05-08"}), ENDING_JOB="check", ENDING_CODE=code
    )

    assert facts["state"] == "failed"
    assert facts["states"]["check"] == "failed"
    assert facts["states"]["build_features"] == "upstream_failed"
    submitted = (airflow_home / "notes").read_text().splitlines()
    assert sum("/jobs/check.py" in line for line in submitted) == tries


@pytest.mark.slow
@needs_airflow
def test_a_run_without_a_date_fails_before_anything_is_submitted(airflow_home: Path) -> None:
    facts = probe(airflow_home, "run", "{}")

    assert facts["state"] == "failed"
    assert facts["tries"]["scan_sources"] == 1
    assert (airflow_home / "notes").read_text() == ""
