"""The wheel and the zip of our code; the same files give the same bytes."""

import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from core.load import PROJECT_DIR
from core.own_files import shipped, zipped

CODE = "lamplighter/_code"
"""Where the wheel holds our other packages: their names at the top would meet those of others."""

METADATA = ("pyproject.toml", "README.md", "LICENSE", "NOTICE")
EPOCH = "315532800"
"""1980-01-01, the time of all files of a zip and a wheel."""


def write_packages(folder: Path) -> list[Path]:
    """Write the wheel and the zip into a folder; return both."""
    folder.mkdir(parents=True, exist_ok=True)
    version = tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text())["project"]["version"]
    code = folder / f"lamplighter-{version}.zip"
    code.write_bytes(zipped())
    return [_write_wheel(folder), code]


def _write_wheel(folder: Path) -> Path:
    with tempfile.TemporaryDirectory() as name:
        tree, made = Path(name) / "tree", Path(name) / "made"
        contents = {file: (PROJECT_DIR / file).read_bytes() for file in METADATA}
        for file, content in shipped().items():
            contents[file if file.startswith("lamplighter/") else f"{CODE}/{file}"] = content
        for file, content in contents.items():
            (tree / file).parent.mkdir(parents=True, exist_ok=True)
            (tree / file).write_bytes(content)
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"),
                *("-w", made, tree),
            ],
            env=os.environ | {"SOURCE_DATE_EPOCH": EPOCH, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            check=True,
        )
        (wheel,) = made.glob("*.whl")
        target = folder / wheel.name
        target.write_bytes(wheel.read_bytes())
    return target
