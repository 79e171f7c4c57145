"""The bench of scale runs at a hundredth of its size, and SQL over raw events finds the same features."""

import subprocess
import sys

import pytest

from core.load import PROJECT_DIR


@pytest.mark.slow
@pytest.mark.spark
def test_all_is_measured_and_features_equal_those_of_sql() -> None:
    line = [sys.executable, "-m", "bench.scale", "--share", "0.001"]

    done = subprocess.run(line, cwd=PROJECT_DIR, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr[-2000:]  # else: features differ
    rows = [row.strip("| ").split(" | ") for row in done.stdout.splitlines() if row.startswith("| ")]
    measured = {tuple(row[:3]) for row in rows}
    assert {("5", "build_features", "task time"), ("20", "both", "bytes read")} <= measured
    assert any(row[:2] == ["20", "task time"] for row in rows)
    assert any(row[0] == "build_examples" for row in rows)
