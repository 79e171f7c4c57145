"""What MLflow reads of a bundle: loader, columns and types, in the file `MLmodel`."""

import json
import platform
from collections.abc import Mapping, Sequence
from typing import Any

LOADER = "models.serving.pyfunc"
WHOLE = ("tinyint", "smallint", "int", "bigint")
# Others are "any": whole numbers with a null are floats to pandas, which MLflow refuses for its own ones.
_TYPES = {"string": "string", "double": "double", "float": "double"}


def describe(columns: Mapping[str, str], tasks: Sequence[str]) -> str:
    """Return the text of `MLmodel`.

    Args:
        columns: of the rows that the model takes -> Spark's names of their types.
        tasks: its outputs.
    """
    inputs = [_column(name, kind) for name, kind in columns.items()]
    outputs = [{"type": "double", "name": task, "required": True} for task in tasks]
    loader = {"loader_module": LOADER, "python_version": platform.python_version()}
    signature = {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs), "params": None}
    return json.dumps({"flavors": {"python_function": loader}, "signature": signature}, indent=1) + "\n"


def _column(name: str, kind: str) -> dict[str, Any]:
    """Return one column as MLflow's signatures have it; a null is a value that is not there."""
    column = {"name": name, "required": False}
    if kind.startswith("array<"):
        element = kind.removeprefix("array<").removesuffix(">")
        return column | {"type": "array", "items": {"type": _TYPES.get(element, "any")}}
    return column | {"type": _TYPES.get(kind, "any")}
