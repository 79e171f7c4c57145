"""Our own files, packages and conf/: of a checkout, of an installed wheel, or in a zip of `--py-files`."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

Place = Path | zipfile.Path
"""A file or folder that can be read wherever our code is."""

PACKAGES = ("core", "features", "jobs", "lamplighter", "models", "quality")
CONF = ("base.yaml", "cluster.yaml", "local.yaml", "models", "spark")
"""What others than this checkout need of conf/: its data sets and their tests stay here."""

_SUFFIXES = frozenset({".py", ".typed", ".yaml", ".conf", ".properties", ".j2"})
_FOLDER = Path(__file__).resolve().parents[1]

ROOT: Place = _FOLDER if _FOLDER.is_dir() else zipfile.Path(_FOLDER)
"""The folder that holds our packages and conf/."""


def files_below(folder: Place) -> Iterator[Place]:
    """Yield all files of a folder and those below it, by name."""
    inside: list[Place] = [*folder.iterdir()]
    for each in sorted(inside, key=lambda found: found.name):
        if each.is_dir():
            yield from files_below(each)
        else:
            yield each


def shipped() -> dict[str, bytes]:
    """Return name relative to `ROOT` -> content of what a job needs of our files, sorted by name."""
    folders = [ROOT / name for name in PACKAGES if (ROOT / name).is_dir()]
    conf = [ROOT / "conf" / name for name in CONF]
    found = [file for folder in folders for file in files_below(folder)]
    for place in conf:
        found += files_below(place) if place.is_dir() else [place]
    return dict(sorted((_name_of(file), file.read_bytes()) for file in found if file.suffix in _SUFFIXES))


def _name_of(file: Place) -> str:
    return str(file).removeprefix(str(ROOT)).lstrip("/")


def zipped() -> bytes:
    """Return our files as a zip whose bytes depend on them alone."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in shipped().items():
            entry = zipfile.ZipInfo(name)  # of 1980-01-01
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, 6)
    return target.getvalue()
