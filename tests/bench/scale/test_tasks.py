"""Tasks of Spark's event log belong to the phase in which they were launched."""

import json
from pathlib import Path

import pytest

from bench.scale import tasks
from bench.scale.__main__ import spread, total
from bench.scale.tasks import Phases, Task


def ended(stage: int, launched: int, run_ms: int, records: int) -> str:
    return json.dumps(
        {
            "Event": "SparkListenerTaskEnd",
            "Stage ID": stage,
            "Task Info": {"Launch Time": launched},
            "Task Metrics": {
                "Executor Run Time": run_ms,
                "Executor CPU Time": run_ms * 500_000,
                "Input Metrics": {"Bytes Read": 10, "Records Read": records},
                "Shuffle Read Metrics": {"Total Records Read": 1},
            },
        },
        separators=(",", ":"),
    )


def test_each_run_of_a_phase_has_the_tasks_that_it_launched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([100, 200, 300, 400])
    monkeypatch.setattr(tasks.time, "time_ns", lambda: next(clock) * 1_000_000)
    phases = Phases(tmp_path / "events")
    for _ in range(2):
        with phases.phase("night"):
            pass
    lines = [ended(1, 150, 8, 4), ended(2, 250, 9, 9), ended(3, 310, 6, 2), ended(3, 320, 2, 0)]
    (tmp_path / "events" / "local-1").write_text("\n".join(['{"Event":"Other"}', *lines]) + "\n")

    first, second = phases.runs()["night"]

    assert first == [Task(stage=1, launched_ms=150, run_ms=8, cpu_ms=4, bytes_read=10, records=5)]
    assert [task.run_ms for task in second] == [6, 2]


def test_a_phase_costs_its_median_run_and_phases_add_up() -> None:
    def run(*milliseconds: int) -> list[Task]:
        return [Task(0, 0, each, each, 0, each) for each in milliseconds]

    runs = {"a": [run(1, 2), run(10), run(4)], "b": [run(5), run(7), run(5), run(5)]}

    assert total(runs, ["a"], lambda task: task.run_ms) == 4
    assert total(runs, ["a", "b"], lambda task: task.run_ms, at_once=1) == 4 + 5
    assert total(runs, ["b"], lambda task: task.run_ms, at_once=2) == 11  # of 12 and 10
    assert spread(run(1, 2, 20), lambda task: task.records) == 10
