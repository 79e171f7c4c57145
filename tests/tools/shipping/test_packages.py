"""The wheel and the zip: the same code as the checkout's, beside whatever else is installed."""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from core.load import PROJECT_DIR
from jobs.runtime.code import code_of, hash_of
from jobs.runtime.pipeline import all_jobs
from tools.shipping.packages import write_packages

FOREIGN = ("core", "models", "conf", "features", "jobs", "quality")
CODE = """
import json
from jobs.runtime.code import code_of, hash_of
from jobs.runtime.pipeline import all_jobs
from core.own_files import ROOT
code = {each.name: code_of(each.module, each.entry_points, each.templates) for each in all_jobs().values()}
print(json.dumps([str(ROOT), {name: hash_of(files) for name, files in code.items()}]))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the zip."""
    wheel, code = write_packages(tmp_path_factory.mktemp("dist"))
    return wheel, code


@pytest.fixture(scope="module")
def installed(made: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, the pinned packages, and others of our names, before it and after."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    own = folder / "venv" / "lib" / "python3.11" / "site-packages"
    pins = folder / "pins"  # those of this environment, without its link to the checkout
    pins.mkdir()
    for each in Path(pytest.__file__).parents[1].iterdir():
        if not each.name.startswith(("__editable__", "lamplighter")):
            (pins / each.name).symlink_to(each)
    (own / "pins.pth").write_text(f"{pins}\n")
    for name in FOREIGN[:3]:
        _write_foreign(own, name)
    pip(folder, "install", "--no-deps", "--no-index", made[0])
    for name in FOREIGN[3:]:
        _write_foreign(own, name)
    return folder


def _write_foreign(site: Path, name: str) -> None:
    (site / name).mkdir()
    (site / name / "__init__.py").write_text(f"whose = 'the foreign {name}'\n")


def pip(folder: Path, *arguments: str | Path) -> None:
    python = str(folder / "venv" / "bin" / "python")
    command = [
        sys.executable,
        "-m",
        "pip",
        "-q",
        "--disable-pip-version-check",
        "--python",
        python,
        *arguments,
    ]
    subprocess.run(command, check=True)


def run(folder: Path, *command: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program of the environment in an empty folder."""
    empty = folder / "empty"
    empty.mkdir(exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"LAMPLIGHTER_LOGS": str(folder / "logs")} | ({"PYTHONPATH": str(path)} if path else {})
    program = [str(folder / "venv" / "bin" / command[0]), *command[1:]]
    return subprocess.run(program, cwd=empty, env=environment, capture_output=True, text=True, check=False)


def test_the_same_files_give_the_same_bytes(made: tuple[Path, Path], tmp_path: Path) -> None:
    again = write_packages(tmp_path)

    assert [file.read_bytes() for file in again] == [file.read_bytes() for file in made]


def test_the_wheel_holds_one_package_and_every_module_of_the_checkout(made: tuple[Path, Path]) -> None:
    names = zipfile.ZipFile(made[0]).namelist()

    assert {name.split("/")[0] for name in names} == {"lamplighter", "lamplighter-0.1.0.dist-info"}
    modules = [file.relative_to(PROJECT_DIR) for file in (PROJECT_DIR / "models").rglob("*.py")]
    assert {f"lamplighter/_code/{file}" for file in modules} <= set(names)
    assert {"lamplighter/_code/conf/base.yaml", "lamplighter/_code/conf/models/ple.yaml"} <= set(names)


@pytest.mark.parametrize("way", ["wheel", "zip"])
def test_code_has_the_hashes_of_the_checkout_wherever_it_is(
    way: str, made: tuple[Path, Path], installed: Path
) -> None:
    begin = "import lamplighter" if way == "wheel" else ""
    found = run(installed, "python", "-c", begin + CODE, path=made[1] if way == "zip" else None)

    assert found.returncode == 0, found.stderr
    root, code = json.loads(found.stdout)
    assert Path(root) != PROJECT_DIR
    assert code == {
        job.name: hash_of(code_of(job.module, job.entry_points, job.templates)) for job in all_jobs().values()
    }


def test_lamplighter_imports_its_own_packages_and_leaves_those_of_others(installed: Path) -> None:
    shown = run(installed, "lamplighter", "--help")
    ours = run(installed, "python", "-c", "import lamplighter, core.load, models.model; print(core.__file__)")
    theirs = run(installed, "python", "-c", f"import {', '.join(FOREIGN)}; print(core.whose, quality.whose)")

    assert shown.returncode == 0, shown.stderr
    assert "build_features" in shown.stdout
    assert "lamplighter/_code/core/__init__.py" in ours.stdout, ours.stderr
    assert theirs.stdout == "the foreign core the foreign quality\n", theirs.stderr


def test_a_process_that_has_imported_another_core_is_told_so(installed: Path) -> None:
    found = run(installed, "python", "-c", "import core, lamplighter")

    assert found.returncode == 1
    last = found.stderr.strip().splitlines()[-1]
    assert "ImportError: `import core` gives " in last
    assert "this process has imported another package of that name" in last


def test_installed_code_knows_no_project(installed: Path) -> None:
    found = run(installed, "lamplighter", "plan", "--data-date", "2022-05-08")

    assert found.returncode == 2
    assert "empty holds no conf/base.yaml; expected the folder of a project" in found.stdout


@pytest.mark.parametrize("way", ["wheel", "zip"])
def test_models_that_a_project_lacks_are_those_of_the_code(
    way: str, made: tuple[Path, Path], installed: Path, tmp_path: Path
) -> None:
    ignored = shutil.ignore_patterns("models", "spark")
    shutil.copytree(PROJECT_DIR / "conf", tmp_path / "conf", ignore=ignored)
    program = (
        f"{'import lamplighter' if way == 'wheel' else ''}\n"
        "from pathlib import Path\n"
        "from core.load import PROJECT_DIR, load_config\n"
        f"found = load_config('kuairand', model='mfh', folder=Path({str(tmp_path)!r}))\n"
        "print(found.model.name, PROJECT_DIR)"
    )
    found = run(installed, "python", "-c", program, path=made[1] if way == "zip" else None)

    name, root = found.stdout.split()
    assert name == "mfh"
    assert root == str(made[1]) if way == "zip" else root.endswith("/lamplighter/_code")


def test_removing_the_wheel_leaves_the_packages_of_others(
    made: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("removed")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    site = folder / "venv" / "lib" / "python3.11" / "site-packages"
    _write_foreign(site, "core")
    pip(folder, "install", "--no-deps", "--no-index", made[0])
    pip(folder, "uninstall", "-y", "lamplighter")

    assert sorted(each.name for each in site.iterdir()) == ["core"]
    assert (site / "core" / "__init__.py").read_text() == "whose = 'the foreign core'\n"
