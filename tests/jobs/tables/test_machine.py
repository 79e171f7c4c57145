"""Cores and memory of the machine, within what its container allows."""

from pathlib import Path

import pytest

from jobs.tables import machine


@pytest.mark.parametrize(
    ("memory", "driver"), [(4.0, 2), (8.0, 2), (15.9, 3), (16.0, 4), (24.0, 6), (32.0, 8), (512.0, 8)]
)
def test_the_driver_gets_a_quarter_of_the_memory_2_to_8_gb(memory: float, driver: int) -> None:
    assert machine.driver_memory_gb(memory) == driver


@pytest.mark.parametrize(
    ("cores", "memory", "expected"),
    [
        (2, 24.0, 2),
        (8, 32.0, 8),
        (8, 7.8, 3),  # one per 2 GB
        (1, 1.0, 1),
        (96, 512.0, 16),  # one JVM
    ],
)
def test_local_mode_gets_the_cores_that_memory_allows(
    monkeypatch: pytest.MonkeyPatch, cores: int, memory: float, expected: int
) -> None:
    monkeypatch.setattr(machine, "cores", lambda: cores)
    monkeypatch.setattr(machine, "memory_gb", lambda: memory)

    assert machine.default_cores() == expected


def test_a_container_lowers_both(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "memory.max").write_text(f"{2 * 2**30}\n")

    assert machine.cores(tmp_path) == 1
    assert machine.memory_gb(tmp_path) == 2.0


def test_a_container_without_limits_allows_what_the_machine_has(tmp_path: Path) -> None:
    without = (machine.cores(tmp_path / "none"), machine.memory_gb(tmp_path / "none"))
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")

    assert (machine.cores(tmp_path), machine.memory_gb(tmp_path)) == without
