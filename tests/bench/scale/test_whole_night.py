"""The bench of a whole night runs at a hundredth of its size; each step has seconds, rows and memory."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.scale.whole_night import print_steps
from core.load import PROJECT_DIR


def test_steps_are_compared_with_those_of_the_first_size(capsys: pytest.CaptureFixture[str]) -> None:
    def step(name: str, seconds: float, workers: int) -> dict[str, object]:
        return {
            "step": name,
            "seconds": seconds,
            "cpu_seconds": seconds / 2,
            "rows": 1,
            "bytes_of": {"Python worker": workers},
        }

    small, large = [step("score", 10.0, 500_000_000)], [step("score", 45.0, 520_000_000)]

    print_steps({"1x": small, "4x": large})

    printed = capsys.readouterr().out
    assert "| score | 10.0 | 45.0 | 4.5 |" in printed
    assert "| score | 5.0 | 22.5 | 4.5 |" in printed
    assert "0.50 | 0.52" in printed


@pytest.mark.slow
@pytest.mark.spark
def test_a_whole_night_is_measured_step_by_step(tmp_path: Path) -> None:
    line = [
        sys.executable,
        "-m",
        "bench.scale.whole_night",
        "--times",
        "0.01",
        "--results",
        str(tmp_path / "tiny"),
    ]

    done = subprocess.run(line, cwd=PROJECT_DIR, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    rows = [row.strip("| ").split(" | ") for row in done.stdout.splitlines() if row.startswith("| ")]
    steps = {row[0] for row in rows}
    assert {
        "history ingest",
        "build_features",
        "train",
        "score",
        "publish",
        "report",
        "next look_back",
    } <= steps
    assert (tmp_path / "tiny.jsonl").read_text().count("\n") == 1
