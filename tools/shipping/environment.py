"""Write an environment for `--archives`: Python itself, and what its workers import, at the pinned versions.

make dist        (= .venv/bin/python -m tools.shipping.environment dist/environment.tar.gz)

Executors need no Python of their own: Spark unpacks the archive, and `environment/bin/python` runs wherever
that is, on the same kind of machine and a Linux no older than the one that made it. It holds none of our
code, so that it changes with the pins alone. pip's own settings say where packages come from: with
PIP_EXTRA_INDEX_URL set to PyTorch's index of CPU builds, torch comes without CUDA's libraries.
"""

import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import tomllib
from pathlib import Path

from core.load import PROJECT_DIR

NOT_IN_STDLIB = (
    *("test", "tests", "idlelib", "lib2to3", "tkinter", "turtledemo", "ensurepip", "pydoc_data"),
    *("config-*", "site-packages", "dist-packages"),
)
LEFT_OUT = (
    "bin",
    *("triton", "torch/lib/libtorch_cuda_linalg.so", "nvidia/*/lib/libcudnn_*", "nvidia/*/lib/libcusolver*"),
    *("nvidia/*/lib/libnvrtc*", "nvidia/*/lib/libnvperf*"),
)
"""Of the packages: programs, which would hold this machine's paths, and what torch opens on a GPU alone."""

PYTHON = """#!/bin/sh
# Starts the Python of this folder, wherever the folder is.
folder=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
export LD_LIBRARY_PATH="$folder/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export PYTHONHOME="$folder" PYTHONNOUSERSITE=1
export PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}$folder/packages"
exec "$folder/bin/python3.11" "$@"
"""


def write_environment(target: Path) -> None:
    """Write the archive; it appears when it is complete and has been tried in another folder."""
    target = target.absolute()  # it is tried from another folder
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="environment-") as name:
        tree, part = Path(name) / "tree", Path(name) / "part.tar.gz"
        _copy_python(tree)
        _install_packages(tree / "packages")
        tree = tree.rename(Path(name) / "moved")
        _try(tree)
        with tarfile.open(part, "w:gz", compresslevel=3) as archive:
            for each in sorted(tree.iterdir()):  # Spark unpacks no archive that has an entry for its root
                archive.add(each, arcname=each.name, filter=_of_nobody)
        part.replace(target)


def _copy_python(tree: Path) -> None:
    """Copy the interpreter that this environment was made with, its library and its modules."""
    paths = {key: Path(sysconfig.get_path(key)) for key in ("stdlib", "platstdlib")}
    modules = tree / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    base = Path(sys.base_prefix)
    for folder in {base / path.relative_to(path.parents[1]) for path in paths.values()}:
        ignored = shutil.ignore_patterns(*NOT_IN_STDLIB)
        shutil.copytree(folder, modules, ignore=ignored, dirs_exist_ok=True)
    (tree / "bin").mkdir()
    shutil.copy2(Path(sys._base_executable).resolve(), tree / "bin" / "python3.11")  # type: ignore[attr-defined]
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        library = sysconfig.get_config_var("INSTSONAME")
        shutil.copy2(Path(sysconfig.get_config_var("LIBDIR")) / library, tree / "lib" / library)
    python = tree / "bin" / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)


def _install_packages(folder: Path) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "-q", "--only-binary", ":all:"),
            *("--target", folder, "-c", PROJECT_DIR / "constraints.txt", *_requirements()),
        ],
        check=True,
    )
    for pattern in LEFT_OUT:
        for found in [*folder.glob(pattern)]:
            shutil.rmtree(found) if found.is_dir() else found.unlink()


def _requirements() -> list[str]:
    project = tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text())["project"]
    needs: list[str] = project["optional-dependencies"]["executor"]
    return needs


def imported_names() -> list[str]:
    """Return the names by which the packages of the archive are imported."""
    return [{"PyYAML": "yaml", "universal-pathlib": "upath"}.get(need, need) for need in _requirements()]


def _try(tree: Path) -> None:
    """Import all of it, with nothing of this machine's environment."""
    names = ", ".join(imported_names())
    program = f"import {names}; assert torch.nn.Linear(2, 1)(torch.ones(3, 2)).shape == (3, 1)"
    subprocess.run([tree / "bin" / "python", "-c", program], env={}, cwd="/", check=True)


def _of_nobody(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Files of the archive belong to whoever unpacks it."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    file = Path(sys.argv[1])
    write_environment(file)
    print(f"{file}: {file.stat().st_size / 1e6:.0f} MB")
