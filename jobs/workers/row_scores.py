"""Scores of any rows inside Spark workers: what `project.score_udf` and its SQL function run."""

from collections.abc import Callable
from functools import lru_cache

import pandas as pd

from jobs.workers.bundles import bundle_in_worker
from models.serving.rows import RowScorer


def to_probabilities(bundle_name: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return a function of a pandas UDF: rows with a model's columns -> a column per task."""

    def probabilities(rows: pd.DataFrame) -> pd.DataFrame:
        return _scorer_in_worker(bundle_name).probabilities(rows)

    return probabilities


@lru_cache(maxsize=4)
def _scorer_in_worker(bundle_name: str) -> RowScorer:
    return RowScorer(bundle_in_worker(bundle_name))
