"""What the README tells people to type works as it stands there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from core.load import PROJECT_DIR
from tests.jobs.sample_project import SampleProject

README = (PROJECT_DIR / "README.md").read_text(encoding="utf-8")
LINES = [line for block in re.findall(r"^```\n(.*?)^```", README, re.S | re.M) for line in block.splitlines()]
COMMANDS = [line.split("#")[0].strip() for line in LINES if line.startswith(".venv/bin/")]
TARGETS = sorted(set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.M)))


def test_the_readme_names_commands_and_targets() -> None:
    assert len(COMMANDS) >= 5
    assert {"demo", "test"} <= set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_of_the_readme_exists(target: str) -> None:
    command = ["make", "-n", target]
    found = subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, check=False)

    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_ends_well(command: str, used_project: SampleProject) -> None:
    program, *arguments = shlex.split(command)
    flags = [part for setting in used_project.settings for part in ("--set", setting)]
    found = subprocess.run(
        [str(Path(sys.executable).parent / Path(program).name), *arguments, *flags],
        cwd=PROJECT_DIR,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )

    assert found.returncode == 0, found.stdout + found.stderr
    assert "Traceback" not in found.stdout + found.stderr
