"""Bundles in an object store: written file by file, the manifest last; read through a copy on this machine.

No folder can be renamed there, so a bundle exists when its manifest does. A copy is made once per machine and
user, for all their processes, and is named after the manifest, which names every file's SHA-256.
"""

import getpass
import hashlib
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from core.errors import LamplighterError
from core.paths import Place, place

MANIFEST = "manifest.json"


def is_stored(bundle: Place) -> bool:
    """Return whether a bundle is there: its folder on this machine, its manifest elsewhere."""
    return bundle.exists() if isinstance(bundle, Path) else (bundle / MANIFEST).exists()


def store(made: Path, bundle: Place) -> None:
    """Copy the files of a local folder into an object store; the bundle is there at the end, or not."""
    files = sorted(made.iterdir(), key=lambda file: (file.name == MANIFEST, file.name))
    for file in files:
        (bundle / file.name).write_bytes(file.read_bytes())


def local_bundle(address: str) -> Path:
    """Return a folder of this machine that holds a bundle, for the process of a driver or of a worker.

    Args:
        address: a local path, or a URI.

    Raises:
        LamplighterError: there is no bundle.
    """
    if "://" not in address:
        return Path(address)
    bundle = place(address)
    if isinstance(bundle, Path):
        return bundle
    try:
        manifest = (bundle / MANIFEST).read_bytes()
    except FileNotFoundError as error:
        raise LamplighterError(
            f"bundle {address}: {MANIFEST} is missing; expected a whole bundle; run `lamplighter train` for "
            "the data date that trained it: with code and configuration of then, it makes the same version"
        ) from error
    copies = Path(tempfile.gettempdir()) / f"lamplighter-{getpass.getuser()}" / "bundles"
    copy = copies / f"{bundle.name}-{hashlib.sha256(manifest).hexdigest()[:16]}"
    if not copy.exists():
        copies.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{copy.name}.", dir=copies))
        try:
            for file in bundle.iterdir():
                (made / file.name).write_bytes(file.read_bytes())
            (made / MANIFEST).write_bytes(manifest)
            with suppress(OSError):  # another process was faster
                made.rename(copy)
        finally:
            shutil.rmtree(made, ignore_errors=True)  # gone already where it was renamed
    return copy
