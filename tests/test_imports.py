"""Imports go one way: each contract of pyproject.toml finds a wrong import."""

import ast
import shutil
import subprocess
import sys
import tomllib
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


LAYERS = "bench -> lamplighter -> jobs -> features | models | quality -> core"
LAYERS_OF_JOBS = "jobs.cli -> jobs.onboarding -> jobs.runtime -> jobs.tables | jobs.workers"
PLANTED = [
    ("features/planted.py", "import torch", "features knows no torch"),
    ("models/planted.py", "from pyspark.sql import DataFrame", "models knows no Spark"),
    ("quality/planted.py", "import torch", "quality knows no torch"),
    ("quality/planted.py", "import features", LAYERS),
    ("jobs/planted.py", "import bench", LAYERS),
    ("core/planted.py", "import jobs", LAYERS),
    ("jobs/tables/planted.py", "import jobs.runtime.run", LAYERS_OF_JOBS),
    ("jobs/runtime/planted.py", "import jobs.cli.main", LAYERS_OF_JOBS),
    ("jobs/runtime/planted.py", "import jobs.onboarding.names", LAYERS_OF_JOBS),
]
"""File, the wrong import in it, and the contract that it breaks."""


def test_a_wrong_import_is_planted_for_each_contract() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = {contract["name"] for contract in config["tool"]["importlinter"]["contracts"]}

    assert {contract for _, _, contract in PLANTED} == contracts


@pytest.mark.parametrize(("file", "line", "contract"), PLANTED)
def test_an_import_against_the_rules_is_found(
    copy_of_the_packages: Path, file: str, line: str, contract: str
) -> None:
    (copy_of_the_packages / file).write_text(f"{line}\n")

    done = subprocess.run(LINT, check=False, cwd=copy_of_the_packages, capture_output=True, text=True)

    broken = [each for each in done.stdout.splitlines() if each.endswith("BROKEN")]
    assert done.returncode == 1
    assert [each.startswith(contract) for each in broken] == [True]


def imports_of_jobs(root: Path) -> set[tuple[str, str]]:
    """Return each import of a job (importer, job), and of the command line by a job."""
    jobs = {f"jobs.{file.stem}" for file in (root / "jobs").glob("*.py") if file.stem != "__init__"}
    found = set()
    for file in (root / "jobs").rglob("*.py"):
        importer = ".".join(file.relative_to(root).with_suffix("").parts)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            of_cli = [name for name in names if importer in jobs and name.startswith("jobs.cli.")]
            found |= {(importer, name) for name in [*(set(names) & jobs), *of_cli]}
    return found


def test_no_job_is_imported_and_none_imports_the_command_line() -> None:
    """`jobs/runtime/pipeline.py` finds them by their files."""
    assert imports_of_jobs(ROOT) == set()


@pytest.mark.parametrize(
    ("file", "line", "found"),
    [
        ("jobs/planted.py", "import jobs.score", ("jobs.planted", "jobs.score")),
        ("jobs/planted.py", "import jobs.cli.main", ("jobs.planted", "jobs.cli.main")),
        ("jobs/runtime/planted.py", "import jobs.score", ("jobs.runtime.planted", "jobs.score")),
    ],
)
def test_an_import_of_a_job_is_found(
    copy_of_the_packages: Path, file: str, line: str, found: tuple[str, str]
) -> None:
    (copy_of_the_packages / file).write_text(f"{line}\n")

    assert imports_of_jobs(copy_of_the_packages) == {found}


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
