"""The archive for executors has what modules of workers import; tests/jobs/test_cluster.py runs in it."""

import importlib.util
import re
import subprocess
import sys
from importlib.metadata import packages_distributions, requires

from packaging.requirements import Requirement

from core.load import PROJECT_DIR
from tools.shipping.environment import imported_names

DRIVER_ONLY = ("launch", "training")  # processes of the driver's machine
IMPORT = """
import importlib, sys

class OnlyTheArchive:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"the archive has no {name}", name=name)

sys.meta_path.insert(0, OnlyTheArchive())
for name in sys.argv[2:]:
    importlib.import_module(name)
"""


def closure(names: list[str]) -> set[str]:
    """Return the distributions that pip installs for some, as they are called in this environment."""
    found: set[str] = set()
    todo = [canonical(name) for name in names]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            for text in requires(name) or ():
                need = Requirement(text)
                if need.marker is None or need.marker.evaluate({"extra": ""}):
                    todo.append(canonical(need.name))
    return found


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_packages_are_known_by_the_names_that_they_are_imported_by() -> None:
    assert [name for name in imported_names() if importlib.util.find_spec(name) is None] == []


def test_modules_of_workers_import_nothing_else() -> None:
    modules = packages_distributions()
    shipped = closure([modules[name][0] for name in imported_names()]) | {"pyspark", "py4j", "lamplighter"}
    others = {name for name, owners in modules.items() if not {canonical(o) for o in owners} & shipped}
    files = sorted((PROJECT_DIR / "jobs" / "workers").glob("*.py"))
    workers = [f"jobs.workers.{file.stem}" for file in files if file.stem not in DRIVER_ONLY]

    tried = subprocess.run(
        [sys.executable, "-c", IMPORT, ",".join(sorted(others)), *workers],
        check=False,
        cwd=PROJECT_DIR,
        capture_output=True,
        text=True,
    )

    assert tried.returncode == 0, tried.stderr
    imported = re.findall(
        r"^ +(?:from|import) (\w+)", "\n".join(file.read_text() for file in files), re.MULTILINE
    )
    assert sorted(set(imported) & others) == []  # of functions
