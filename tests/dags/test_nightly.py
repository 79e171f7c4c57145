"""A DAG holds one task per job, ordered as jobs declare; what is tried again follows from the ledger."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_log import write_tiny_project

ROOT = Path(__file__).parents[2]
AIRFLOW = ROOT / ".venv-airflow" / "bin"
JOBS = json.loads((ROOT / "dags" / "jobs.json").read_text())
NAMES = [job["name"] for job in JOBS]
PER_MODEL = {job["name"] for job in JOBS if job["per_model"]}
MODELS = ("ple", "pooled")


def test_the_dag_submits_files_that_exist() -> None:
    assert [name for name in NAMES if not (ROOT / "jobs" / f"{name}.py").is_file()] == []


# --- in Airflow's own environment ---------------------------------------------------------------

needs_airflow = pytest.mark.skipif(
    not (ROOT / ".venv-airflow" / "ready").exists(), reason="no .venv-airflow: make test-slow makes it"
)
SUBMIT = """#!/bin/sh
# Stands in for spark-submit: notes its arguments, and fails for one job.
echo "$@" >>"$NOTES"
case "$*" in *"/jobs/$FAILING_JOB.py"*) exit 1 ;; esac
"""
RUNS = """#!/bin/sh
# Stands in for lamplighter runs: prints what the test says, and ends as it says.
echo "$@" >>"$NOTES"
printf '%s\\n' "$SAID"
exit "$RUNS_EXIT"
"""


@pytest.fixture(scope="module")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An Airflow of its own: database, logs, and stand-ins for the platform's programs."""
    home = tmp_path_factory.mktemp("airflow")
    (home / "bin").mkdir()
    for name, program in (("spark-submit", SUBMIT), ("lamplighter", RUNS)):
        (home / "bin" / name).write_text(program)
        (home / "bin" / name).chmod(0o755)
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
        "FAILING_JOB": "none",
        "SAID": "[]",
        "RUNS_EXIT": "0",
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


def tasks_of(job: str) -> set[str]:
    return {f"{model}.{job}" for model in MODELS} if job in PER_MODEL else {job}


def said(exit_code: int | None, started_at: str = "2024-03-02T03:00:00+00:00") -> str:
    run = {"data_date": "2024-03-01", "exit_code": exit_code, "started_at": started_at, "message": "why"}
    return json.dumps([run])


@pytest.mark.slow
@needs_airflow
def test_each_data_set_has_a_dag_that_is_a_chain_of_spark_submits(airflow_home: Path) -> None:
    facts = probe(airflow_home, "structure")

    assert facts["import_errors"] == {}
    data_sets = [file.stem for file in (ROOT / "conf" / "datasets").glob("*.yaml")]
    assert facts["dags"] == sorted(f"nightly_{name}" for name in data_sets)
    after: dict[str, set[str]] = {task: set() for name in NAMES for task in tasks_of(name)}
    for job in JOBS:
        for before in job["after"]:
            for one in tasks_of(before):
                own = {f"{one.partition('.')[0]}.{job['name']}"}
                both = before in PER_MODEL and job["name"] in PER_MODEL
                after[one] |= own if both else tasks_of(job["name"])
    after["ple.promote"].add("pooled.train")  # the second meets the champion that the first has become
    assert {name: set(edges) for name, edges in facts["edges"].items()} == after
    assert "SparkSubmitOperator" in facts["operators"]
    assert (facts["retries"], facts["pools"]) == ([2], ["default_pool"])
    assert (facts["max_active_runs"], facts["catchup"], facts["failed_runs_in_a_row"]) == (1, True, 3)


@pytest.mark.slow
@needs_airflow
def test_a_data_date_is_the_day_in_which_its_interval_begins_in_the_data_sets_zone(
    airflow_home: Path,
) -> None:
    facts = probe(airflow_home, "structure")

    # Shanghai's 02:00 of the day after, from the first training night on.
    assert facts["first_dates"][:2] == [["2022-05-07", "05-07 18:00"], ["2022-05-08", "05-08 18:00"]]
    assert facts["dates_up_to_an_end"] == [["2024-02-29", "03-01 05:00"]]
    # New York's clocks go from 02:00 to 03:00 on 03-10.
    assert facts["over_a_change_of_clocks"] == [
        ["2024-03-09", "03-10 07:00"],
        ["2024-03-10", "03-11 06:00"],
        ["2024-03-11", "03-12 06:00"],
    ]


@pytest.mark.slow
@needs_airflow
def test_every_job_gets_the_data_date_and_those_for_training_their_model(airflow_home: Path) -> None:
    facts = probe(airflow_home, "run", json.dumps({"data_date": "2022-05-08"}))

    commands = (airflow_home / "notes").read_text().splitlines()
    submitted = [(Path(word).stem, line) for line in commands for word in line.split() if "/jobs/" in word]
    assert facts["state"] == "success"
    assert sorted(name for name, _ in submitted) == sorted(name for name in NAMES for _ in tasks_of(name))
    flags = f"--night-step --data-date 2022-05-08 --dataset kuairand --env local --project {ROOT}"
    assert all(flags in line for line in commands)
    with_model = [(name, line.rpartition("--model ")[2]) for name, line in submitted if "--model" in line]
    assert sorted(with_model) == sorted((name, model) for name in PER_MODEL for model in MODELS)


@pytest.mark.slow
@needs_airflow
@pytest.mark.parametrize(("exit_code", "tries"), [(3, 1), (1, 3)])
def test_only_what_may_get_better_is_tried_again(airflow_home: Path, exit_code: int, tries: int) -> None:
    facts = probe(
        airflow_home,
        *("run", json.dumps({"data_date": "2022-05-08"})),
        FAILING_JOB="check",
        SAID=said(exit_code, "2999-01-01T00:00:00+00:00"),
    )

    assert facts["state"] == "failed"
    assert facts["states"]["check"] == "failed"
    assert facts["states"]["build_features"] == "upstream_failed"
    noted = (airflow_home / "notes").read_text().splitlines()
    assert sum("/jobs/check.py" in line for line in noted) == tries
    asked = [line for line in noted if line.startswith("runs --json")]
    flags = f"--data-date 2022-05-08 --dataset kuairand --env local --project {ROOT}"
    assert asked == [f"runs --json --last 1 --job check {flags}"] * tries


@pytest.mark.slow
@needs_airflow
@pytest.mark.parametrize(
    ("said", "code", "line", "is_final"),
    [
        (said(3), "0", "check 2024-03-01: why", True),
        (said(2), "0", "check 2024-03-01: why", True),
        (said(1), "0", "check 2024-03-01: why", False),
        (said(None), "0", "check 2024-03-01 was cut off: its process was killed", False),
        # That was an earlier try.
        (
            said(3, "2024-03-02T01:59:59+00:00"),
            "0",
            "check ended before its run began: no Java",
            False,
        ),
        ("[]", "0", "check ended before its run began: no Java", False),
        ("a.b: unknown key", "2", "check: a.b: unknown key", True),
        (
            "no connection",
            "1",
            "check failed, and how is unknown: `lamplighter runs`: no connection",
            False,
        ),
    ],
)
def test_how_a_job_ended_is_what_the_ledger_says_of_this_try(
    airflow_home: Path, said: str, code: str, line: str, is_final: bool
) -> None:
    found = probe(
        airflow_home,
        "ending",
        "2024-03-02T02:00:00+00:00",
        "many\nlines\nno Java\n",
        SAID=said,
        RUNS_EXIT=code,
    )

    assert found == {"line": line, "is_final": is_final}


@pytest.mark.slow
@needs_airflow
def test_a_run_without_a_date_fails_before_anything_is_submitted(airflow_home: Path) -> None:
    facts = probe(airflow_home, "run", "{}")

    assert facts["state"] == "failed"
    assert facts["tries"]["scan_sources"] == 1
    assert (airflow_home / "notes").read_text() == ""


@pytest.mark.slow
@needs_airflow
def test_the_file_of_the_how_to_makes_a_dag_per_data_set_of_a_project(
    airflow_home: Path, tmp_path: Path
) -> None:
    write_tiny_project(tmp_path)
    page = ROOT / "docs" / "how-to" / "airflow.md"

    facts = probe(airflow_home, "page", str(page), str(tmp_path))

    assert facts["import_errors"] == {}
    assert "nightly_tiny" in facts["dags"]
    assert {"ingest", "ple.train", "pooled.train"} <= set(facts["dags"]["nightly_tiny"])
