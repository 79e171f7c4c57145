"""Imports go one way: the contracts of pyproject.toml hold, and they bite."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("core", "features", "models", "quality", "jobs", "lamplighter", "bench")
LINT = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]


@pytest.fixture
def copy_of_the_packages(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("features/planted.py", "import torch", "features knows no torch"),
        ("models/planted.py", "from pyspark.sql import DataFrame", "models knows no Spark"),
        (
            "quality/planted.py",
            "import features",
            "bench -> lamplighter -> jobs -> features | models | quality -> core",
        ),
        (
            "jobs/planted.py",
            "import bench",
            "bench -> lamplighter -> jobs -> features | models | quality -> core",
        ),
        (
            "core/planted.py",
            "import jobs",
            "bench -> lamplighter -> jobs -> features | models | quality -> core",
        ),
    ],
)
def test_an_import_against_the_rules_is_found(
    copy_of_the_packages: Path, file: str, line: str, contract: str
) -> None:
    (copy_of_the_packages / file).write_text(f"{line}\n")

    done = subprocess.run(LINT, check=False, cwd=copy_of_the_packages, capture_output=True, text=True)

    broken = [each for each in done.stdout.splitlines() if each.endswith("BROKEN")]
    assert done.returncode == 1
    assert [each.startswith(contract) for each in broken] == [True]


@pytest.mark.parametrize(("package", "foreign"), [("features", {"torch"}), ("core", {"torch", "pyspark"})])
def test_importing_a_package_does_not_load_what_it_must_not_know(package: str, foreign: set[str]) -> None:
    """Also not through a library in between, which import-linter does not follow."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name != "__init__.py"
    ]
    code = f"import {', '.join(modules)}, sys; print({foreign!r} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert modules
    assert done.stdout.strip() == "set()"
