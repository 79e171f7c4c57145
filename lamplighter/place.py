"""Where our other packages are: beside this one in a checkout, inside of it where the wheel is installed.

`core`, `models` and their like are names that other distributions have, too. The wheel therefore puts them
into `lamplighter/_code`, where they meet nobody's files, and this module puts that folder first on the path.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

_FOLDER = Path(__file__).parent
ROOT = _FOLDER / "_code" if (_FOLDER / "_code").is_dir() else _FOLDER.parent
PACKAGES = ("core", "features", "jobs", "models", "quality")


def put_first() -> None:
    """Make our packages those that are imported by their names from here on.

    Raises:
        ImportError: this process has imported another package of one of their names.
    """
    if str(ROOT) not in sys.path[:1]:
        sys.path.insert(0, str(ROOT))
    for name in PACKAGES:
        found = getattr(sys.modules.get(name), "__file__", None) if name in sys.modules else _origin(name)
        expected = ROOT / name / "__init__.py"
        if found is None or Path(found).resolve() != expected.resolve():
            raise ImportError(
                f"`import {name}` gives {found or 'a package without a file'}, expected {expected}: this "
                "process has imported another package of that name; use that one in another process"
            )


def _origin(name: str) -> str | None:
    spec = find_spec(name)
    return spec.origin if spec is not None else None
