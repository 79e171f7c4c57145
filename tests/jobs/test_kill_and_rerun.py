"""kill -9 of every job at work, then run again: the same content as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from core.load import PROJECT_DIR
from jobs.runtime.night import run_history, run_night
from jobs.runtime.pipeline import all_jobs
from jobs.tables.ledger import NewestRun, RunKey
from tests.jobs.runtime.test_night import digest_of
from tests.jobs.sample_project import FIRST_LOG_DATE, FIRST_NIGHT, SECOND_NIGHT, SampleProject

pytestmark = pytest.mark.slow

MODELS = {FIRST_NIGHT: "ple", SECOND_NIGHT: "mfh"}


def start(project: SampleProject, job: str, day: date) -> "subprocess.Popen[bytes]":
    """Start a job as a program, in a process group of its own."""
    settings = [part for setting in project.settings for part in ("--set", setting)]
    model = ["--model", MODELS[day]] if all_jobs()[job].is_per_model else []
    command = [sys.executable, "-m", "jobs.cli.main", job, "--data-date", str(day), *model, *settings]
    return subprocess.Popen(
        command, cwd=PROJECT_DIR, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True
    )


def newest(project: SampleProject, job: str, day: date) -> NewestRun | None:
    model = MODELS[day] if all_jobs()[job].is_per_model else ""
    return project.opened(day).newest_runs([day]).get(RunKey(job, model, day))


def children_of(pid: int) -> set[int]:
    """Return all processes below one."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        if parent == pid:
            found |= {int(entry.name)} | children_of(int(entry.name))
    return found


def kill_at_work(project: SampleProject, job: str, day: date, seconds: float) -> None:
    """Start a job, and kill it some seconds after the ledger says that it has started."""
    process = start(project, job, day)
    deadline = time.monotonic() + 120
    while (run := newest(project, job, day)) is None and time.monotonic() < deadline:
        assert process.poll() is None, f"{job} ended before it started"
        time.sleep(0.05)
    assert run is not None, f"{job} did not start"
    time.sleep(seconds)
    below = children_of(process.pid)
    was_at_work = process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 60
    while any(map(is_alive, below)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not [pid for pid in below if is_alive(pid)], f"something outlived {job}"
    if was_at_work:  # a short job may have ended within the time
        found = newest(project, job, day)
        assert found is not None
        assert found.state in ("started", "done")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_every_job_killed_at_work_and_run_again_leaves_what_an_undisturbed_one_does(
    spark: SparkSession, after_two_nights: SampleProject, fresh: SampleProject, tmp_path: Path
) -> None:
    project = fresh.copy(tmp_path)
    run_history(project.ask(FIRST_LOG_DATE, date(2022, 5, 6)))
    chance = random.Random(20220508)
    killed = set()
    for day, model in MODELS.items():
        for job in all_jobs():
            undisturbed = newest(after_two_nights, job, day)
            if undisturbed is None:
                continue  # no step of this night
            if day == FIRST_NIGHT or job in ("train", "look_back"):
                kill_at_work(project, job, day, chance.uniform(0.1, 0.9) * undisturbed.seconds)
                killed.add(job)
            run_night(project.ask(day, model=model), [job])

    assert killed == set(all_jobs())
    assert digest_of(spark, project) == digest_of(spark, after_two_nights)
