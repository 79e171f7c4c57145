"""Bundles as MLflow's python_function: `mlflow.pyfunc.load_model("models:/NAME@champion").predict(rows)`.

The file `MLmodel` of a bundle names this module as its loader. So MLflow loads the bundle's own files, and
nothing is pickled. Where it is loaded, Lamplighter has to be installed.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from models.serving.bundle import Bundle, read_bundle
from models.serving.rows import RowScorer


class PyfuncModel:
    """What MLflow calls.

    Args:
        bundle: the model.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._scorer = RowScorer(bundle)

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return a column of calibrated probabilities per task; see `RowScorer.probabilities`."""
        return self._scorer.probabilities(model_input)


def _load_pyfunc(path: str) -> PyfuncModel:
    """Load a bundle; MLflow calls it with the bundle's folder."""
    return PyfuncModel(read_bundle(Path(path)))
