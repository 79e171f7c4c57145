"""A server ends with all that it has started."""

import time
from pathlib import Path

import psutil
import pytest

from tools.cluster import process
from tools.cluster.process import Service, ServiceError

SERVER = "bash child.sh & wait"
CHILD = "trap '' TERM; echo $$ > starting; mv starting pid; while true; do sleep 0.05; done"


def test_what_does_not_end_when_asked_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server ends at once; what it has started does not, and has another parent by then."""
    monkeypatch.setattr(process, "TREE_SECONDS", 0.3)
    (tmp_path / "child.sh").write_text(CHILD)
    pid = tmp_path / "pid"
    service = Service("server", ["bash", "-c", f"cd {tmp_path}; {SERVER}"], tmp_path / "log", pid.exists)
    child = psutil.Process(int(pid.read_text()))

    service.stop()

    assert service.process.returncode is not None
    until = time.monotonic() + 5
    while child.is_running() and time.monotonic() < until:
        time.sleep(0.05)
    assert not child.is_running()


def test_one_that_ends_before_it_is_ready_is_an_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"server: ended with 3; .*\n  no such port"):
        Service("server", ["bash", "-c", "echo no such port; exit 3"], tmp_path / "log", lambda: False)
