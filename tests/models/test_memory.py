"""Memory that was freed is used again."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, torch
from models.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
torch.ones(16_000_000)  # 64 MB
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    torch.ones(16_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's")
def test_the_kernel_is_not_asked_again_for_memory_that_was_freed() -> None:
    assert page_faults("keep") < 0.1 * page_faults("give back")
