"""Resident sets and time on a core are those of a command with all that it starts, between two moments."""

import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from bench.scale.processes import Sample, Used, kind_of, used, watched

START = datetime(2024, 2, 14, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_a_step_needs_its_largest_processes_and_its_own_time_on_a_core() -> None:
    samples = [
        Sample(at(0), 10.0, {"JVM": 900}),  # before the step
        Sample(at(1), 12.0, {"JVM": 500, "Python worker": 30}),
        Sample(at(2), 15.5, {"JVM": 700}),
        Sample(at(3), 99.0, {"rank": 800}),  # after it
    ]

    assert used(samples, at(0.5), at(2.5)) == Used(3.5, {"JVM": 700, "Python worker": 30})
    assert used(samples, at(4), at(5)) == Used(0.0, {})


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (["/usr/bin/java", "-cp", "spark-core.jar", "org.apache.spark.deploy.SparkSubmit"], "JVM"),
        (["python", "-m", "pyspark.daemon", "pyspark.worker"], "Python worker"),
        (["python", "-m", "models.training.process", "--java"], "rank"),
        (["python", "-m", "jobs.cli.main", "night"], "other"),
    ],
)
def test_processes_are_told_apart_by_their_command_line(command: list[str], kind: str) -> None:
    assert kind_of(command) == kind


GREEDY = "import time; held = bytearray(200_000_000); time.sleep(1.5)"
WORK = "import subprocess, sys, time\nwhile time.process_time() < 0.5: pass\n"
BUSY = f"{WORK}subprocess.run([sys.executable, '-c', {GREEDY!r}])"
CHILD = f"{WORK}time.sleep(1)"
ENDS = f"import subprocess, sys, time; subprocess.run([sys.executable, '-c', {CHILD!r}]); time.sleep(1)"


def test_a_process_that_the_command_starts_is_seen_with_its_memory(tmp_path: Path) -> None:
    samples = watched([sys.executable, "-c", BUSY], tmp_path, tmp_path / "log")

    assert max(sample.bytes_of.get("other", 0) for sample in samples) > 200_000_000
    assert samples[-1].cpu_seconds > 0.4  # of the command, which waits by now


def test_the_time_of_a_process_that_has_ended_still_counts(tmp_path: Path) -> None:
    samples = watched([sys.executable, "-c", ENDS], tmp_path, tmp_path / "log")

    assert samples[-1].cpu_seconds > 0.4
    assert all(one.cpu_seconds <= other.cpu_seconds for one, other in pairwise(samples))


def test_a_command_that_fails_ends_the_bench_with_what_it_printed(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"exit code 3(.|\n)*no such table"):
        watched([sys.executable, "-c", "print('no such table'); exit(3)"], tmp_path, tmp_path / "log")
