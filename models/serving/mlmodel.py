"""What MLflow reads of a bundle: loader, columns and types, in the file `MLmodel`; a row as an example."""

import json
import math
import platform
from collections.abc import Mapping, Sequence
from typing import Any

from core.encoder import CategoricalEncoding, DenseEncoding, Encoder

LOADER = "models.serving.pyfunc"
EXAMPLE, SERVING_EXAMPLE = "input_example.json", "serving_input_example.json"  # MLflow's names
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
    example = {"artifact_path": EXAMPLE, "type": "dataframe", "pandas_orient": "split"}
    told = {
        "flavors": {"python_function": loader},
        "signature": signature,
        "saved_input_example_info": example | {"serving_input_path": SERVING_EXAMPLE},
    }
    return json.dumps(told, indent=1) + "\n"


def example_files(columns: Mapping[str, str], encoder: Encoder, cohorts: Mapping[str, str]) -> dict[str, str]:
    """Return file -> text of one row that the model takes, as MLflow keeps it, and as its server takes it.

    Its values are of the training days: the most frequent value of a category, the mean of a number; of
    hashed ids, 1.

    Args:
        columns: as of `describe`.
        encoder: of the model.
        cohorts: cohort column -> a cohort.
    """
    categorical = {each.column: each for each in encoder.categorical}
    dense = {each.column: each for each in encoder.dense}

    def value(name: str, kind: str) -> Any:
        if name in cohorts:
            return cohorts[name]
        return _category(categorical[name], kind) if name in categorical else _number(dense[name], kind)

    row = {"columns": [*columns], "data": [[value(name, kind) for name, kind in columns.items()]]}
    return {EXAMPLE: json.dumps(row) + "\n", SERVING_EXAMPLE: json.dumps({"dataframe_split": row}) + "\n"}


def _category(encoding: CategoricalEncoding, kind: str) -> Any:
    """Return the first value of a vocabulary, of the column's type; of an array, as its only element."""
    element = kind.removeprefix("array<").removesuffix(">")
    text = encoding.vocabulary[0] if encoding.vocabulary else "1"
    value = int(text) if element in WHOLE else text == "true" if element == "boolean" else text
    return [value] if element != kind else value


def _number(encoding: DenseEncoding, kind: str) -> Any:
    """Return about the mean of a column, before its transform, of the column's type."""
    mean = encoding.mean
    if encoding.transform == "log1p":
        mean = math.expm1(mean)
    elif encoding.transform == "quantile":
        mean = encoding.quantiles[len(encoding.quantiles) // 2]
    if kind == "boolean":
        return mean >= 0.5
    return round(mean) if kind in WHOLE else mean


def _column(name: str, kind: str) -> dict[str, Any]:
    """Return one column as MLflow's signatures have it; a null is a value that is not there."""
    column = {"name": name, "required": False}
    if kind.startswith("array<"):
        element = kind.removeprefix("array<").removesuffix(">")
        return column | {"type": "array", "items": {"type": _TYPES.get(element, "any")}}
    return column | {"type": _TYPES.get(kind, "any")}
