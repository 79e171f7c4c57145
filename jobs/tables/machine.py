"""What this machine, or the container that it is seen from, allows."""

import os
from pathlib import Path

import psutil

MOST_CORES = 16
"""More threads in one JVM wait for each other; a larger machine is better used as a cluster."""

GB_PER_CORE = 2
"""A thread of Spark, and the Python worker with torch that it may start."""

_CGROUP = Path("/sys/fs/cgroup")


def default_cores() -> int:
    """Return the threads of local mode: the cores of the machine, as far as memory allows, at most 16."""
    by_memory = int(memory_gb() // GB_PER_CORE)
    return max(1, min(cores(), by_memory, MOST_CORES))


def cores(cgroup: Path = _CGROUP) -> int:
    """Return the cores that this process may use: its affinity, within the quota of its container."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _read(cgroup / "cpu.max").partition(" ")
    if quota.isdigit() and period.strip().isdigit():
        allowed = min(allowed, max(1, int(quota) // int(period)))
    return allowed


def memory_gb(cgroup: Path = _CGROUP) -> float:
    """Return the memory in GiB: the machine's, within the limit of its container."""
    total = psutil.virtual_memory().total
    limit = _read(cgroup / "memory.max").strip()
    return float(min(total, int(limit)) if limit.isdigit() else total) / 2**30


def driver_memory_gb(memory: float) -> int:
    """Return the driver's share of a memory in GiB, as set-up writes it: a quarter, 2 to 8."""
    return max(2, min(8, int(memory // 4)))


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""  # no container, or one of another kind


if __name__ == "__main__":  # for tools/setup.sh
    print(f"{driver_memory_gb(memory_gb())}g")  # noqa: T201
