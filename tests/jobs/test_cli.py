"""The same program three ways, with exit codes that a scheduler can act on."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.load import PROJECT_DIR
from tests.jobs.sample_project import SECOND_NIGHT, SampleProject

SPARK_SUBMIT = str(Path(sys.executable).parent / "spark-submit")
LAMPLIGHTER = str(Path(sys.executable).parent / "lamplighter")


def run(*command: str) -> "subprocess.CompletedProcess[str]":
    """A program as a user starts it."""
    return subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, timeout=600, check=False)


def flags(project: SampleProject) -> list[str]:
    return [part for setting in project.settings for part in ("--set", setting)]


def test_wrong_usage_ends_with_2_and_one_line() -> None:
    found = run(LAMPLIGHTER, "ingest", "--data-date", "2022-05-07", "--set", "training.epocs=3")

    assert found.returncode == 2
    assert found.stdout.strip() == (
        "--set: training.epocs: unknown key; remove it or correct its spelling "
        "(core/schema.py lists the keys)"
    )
    assert "Traceback" not in found.stdout + found.stderr


@pytest.mark.slow
def test_ctrl_c_ends_with_130_and_one_line_and_the_next_run_repairs(project: SampleProject) -> None:
    scanned = run(LAMPLIGHTER, "scan_sources", "--data-date", str(SECOND_NIGHT), *flags(project))
    assert scanned.returncode == 0, scanned.stdout
    command = [LAMPLIGHTER, "ingest", "--data-date", str(SECOND_NIGHT), *flags(project)]
    process = subprocess.Popen(
        command, cwd=PROJECT_DIR, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + 60
    while (
        not (project.warehouse / "kuairand" / "_locks" / "events.lock").exists()
        and process.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.2)
    time.sleep(4)  # Spark is at work by then
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 130, output
    assert output.splitlines()[-1] == "interrupted; the same command resumes with the first unfinished step"
    assert "Traceback" not in output
    assert run(*command).returncode == 0


@pytest.mark.slow
def test_spark_submit_runs_a_job_by_itself(used_project: SampleProject) -> None:
    found = run(SPARK_SUBMIT, "jobs/label_cohorts.py", "--data-date", str(SECOND_NIGHT), *flags(used_project))

    assert found.returncode == 0, found.stdout + found.stderr
    assert "label_cohorts" in found.stdout


@pytest.mark.slow
def test_a_blocked_date_ends_with_3_under_spark_submit(project: SampleProject) -> None:
    project.log_file(SECOND_NIGHT).write_bytes(project.log_file(SECOND_NIGHT).read_bytes()[:100])
    truncated = run(SPARK_SUBMIT, "jobs/scan_sources.py", "--data-date", str(SECOND_NIGHT), *flags(project))
    assert truncated.returncode == 1
    assert "no readable Parquet file" in truncated.stdout

    found = run(LAMPLIGHTER, "lists", "--user", "0", *flags(project))
    assert found.returncode == 1
    assert "publications is empty" in found.stdout


@pytest.mark.spark
def test_one_can_ask_for_runs_tables_models_and_lists(after_two_nights: SampleProject) -> None:
    asked = {name: run(LAMPLIGHTER, name, *flags(after_two_nights)) for name in ("runs", "tables", "models")}
    asked["lists"] = run(LAMPLIGHTER, "lists", "--user", "20", *flags(after_two_nights))

    assert all(found.returncode == 0 for found in asked.values()), asked
    assert "build_features" in asked["runs"].stdout
    assert "user_id, data_date, list, rank" in asked["tables"].stdout
    assert "mfh-" in asked["models"].stdout
    assert "as of 2022-05-08" in asked["lists"].stdout
