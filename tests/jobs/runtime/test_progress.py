"""Without a terminal a long step says now and then that it runs, and how far it is."""

import logging
import threading
import time
from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.runtime.logs import log
from jobs.runtime.progress import Position, report_progress, spark_position, step_progress


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the logger says."""
    said: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    monkeypatch.setattr(log, "handlers", [Keep()])
    before = log.level
    log.setLevel(logging.INFO)  # which also forgets what was off before
    yield said
    log.setLevel(before)


def test_a_long_step_says_that_it_runs(lines: list[str]) -> None:
    with step_progress("train 2022-05-07", every_seconds=0.2):
        time.sleep(0.3)
        report_progress(2, 10, "epochs")
        time.sleep(0.25)

    assert lines == [
        "train 2022-05-07: still running: 0 s",
        "train 2022-05-07: still running: 2 of 10 epochs, 0 s",
    ]


def test_a_short_step_says_nothing(lines: list[str]) -> None:
    with step_progress("publish", every_seconds=5.0):
        pass

    assert lines == []
    assert not [thread for thread in threading.enumerate() if "_follow" in thread.name]


def test_a_step_inside_another_gives_it_its_name_for_a_while(lines: list[str]) -> None:
    with step_progress("score 2022-05-07", every_seconds=0.2):
        with step_progress("score 2022-05-07: bucket 1", every_seconds=0.01):
            time.sleep(0.3)
        time.sleep(0.2)

    assert lines == [
        "score 2022-05-07: bucket 1: still running: 0 s",
        "score 2022-05-07: still running: 0 s",
    ]


def test_a_step_that_fails_ends_its_lines(lines: list[str]) -> None:
    with pytest.raises(ZeroDivisionError), step_progress("score", every_seconds=0.05):
        raise ZeroDivisionError

    time.sleep(0.2)
    assert lines == []


def test_lines_tell_the_stage_and_tasks_of_spark(spark: SparkSession, lines: list[str]) -> None:
    slow = F.udf(lambda n: time.sleep(0.2) or n, "long")
    rows = spark.range(0, 8, 1, numPartitions=8).select(slow("id").alias("n"))

    with step_progress("score", every_seconds=0.1):
        rows.groupBy("n").count().collect()

    assert any(" of 8 tasks, " in line and "stage " in line for line in lines), lines
    assert spark_position() is None  # nothing runs any more


def test_progress_outside_of_a_step_is_nobodys() -> None:
    report_progress(1, 2, "epochs")


def test_a_position_reads_as_words() -> None:
    assert str(Position("stage 3 of 5", 120, 2000, "tasks")) == "stage 3 of 5, 120 of 2,000 tasks"
    assert str(Position("", 2, 10, "epochs")) == "2 of 10 epochs"
