"""Columns of events that a function of the project computes: what no expression says."""

import ast
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from core.config_model import ConfigModel, Name
from core.errors import ConfigError
from core.source import Behaviour


class Derived(ConfigModel):
    """Columns that a function computes from the events of one data date, for aggregates to read.

    The function takes a DataFrame, the accepted events of the date with the attributes that groups read, and
    returns one with `event_id` and what the expressions of `columns` read; an event that it leaves out has
    null. It sees no other date, so that a range equals its dates, and must return the same for the same rows.
    """

    call: Annotated[str, Field(pattern=r"^[\w][\w./-]*\.py:[A-Za-z_]\w*$")]  # file in the project:function
    columns: dict[Name, Behaviour]
    code: str = ""  # hash of the file and the other Python files of its folder; set by the loader

    @property
    def file(self) -> str:
        """The file of the function, relative to the project's folder."""
        return self.call.partition(":")[0]

    @property
    def function(self) -> str:
        """Name of the function in its file."""
        return self.call.partition(":")[2]


def with_code(derived: Mapping[str, Derived], folder: Path) -> dict[str, Derived]:
    """Return the declarations with the hashes of their code.

    Args:
        derived: name -> declaration.
        folder: the project's.

    Raises:
        ConfigError: there is no such file or function, or the file is no Python.
    """
    return {
        name: each.model_copy(update={"code": _hash(each, folder, f"derived.{name}.call")})
        for name, each in derived.items()
    }


def _hash(derived: Derived, folder: Path, where: str) -> str:
    file = folder / derived.file
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: {file} cannot be read; expected a Python file of the project") from error
    except SyntaxError as error:
        raise ConfigError(f"{where}: {file} is no Python: line {error.lineno}: {error.msg}") from error
    known = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    if derived.function not in known:
        raise ConfigError(f"{where}: {file} has no function {derived.function}; there are {sorted(known)}")
    digest = hashlib.sha256()
    for each in sorted(file.parent.glob("*.py")):
        digest.update(each.name.encode() + b"\0" + each.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
