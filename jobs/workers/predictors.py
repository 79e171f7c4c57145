"""What predicts inside of Spark workers: a model, or the means of cohorts while no model serves.

Letters: U users, u users of one pass, I items, K tasks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.workers.bundles import bundle_in_worker, cat_columns, dense_columns, to_arrays
from jobs.workers.vectors import PREFIX, vectors_of
from models.serving.scorer import Dtype, PairScorer, Pool

Predictions = Iterator[tuple[slice, NDArray[np.float64]]]


class Scorer(Protocol):
    """Predictions of users for items."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks, in order."""
        ...

    def predictions(self, users: pa.Table, own: NDArray[np.bool_] | None) -> Predictions:
        """Yield users and their predictions, (u, I, K): probabilities, of a regression the value.

        Args:
            users: of one cohort.
            own: which items each user has beside those that are for all, (U, I); None: none.
        """
        ...


class Predictor(Protocol):
    """What is sent to workers; they make scorers of it."""

    def scorer(self, for_all: NDArray[np.bool_]) -> Scorer:
        """Return a scorer that has predictions of the items that are for all, (I,), and of users' own."""
        ...


@dataclass(frozen=True)
class ModelPredictor:
    """A bundle and the items of a night.

    Attributes:
        bundle: its name, as `bring_bundle` returns it.
        pool: all items in one context, in the order of item_id.
        dtype: of matrix products.
    """

    bundle: str
    pool: Pool
    dtype: Dtype = "float32"

    def scorer(self, for_all: NDArray[np.bool_]) -> Scorer:
        """See `Predictor.scorer`."""
        return _model_scorer(self.bundle, self.pool, self.dtype, for_all.tobytes())


@dataclass(frozen=True)
class MeanPredictor:
    """Means of the users' cohort, which are the same for all of its users.

    Attributes:
        tasks: in order.
        means: user cohort -> means, (I, K).
    """

    tasks: tuple[str, ...]
    means: Mapping[str, NDArray[np.float64]]

    def scorer(self, for_all: NDArray[np.bool_]) -> Scorer:
        """See `Predictor.scorer`."""
        del for_all  # a mean costs nothing
        return self

    def predictions(self, users: pa.Table, own: NDArray[np.bool_] | None) -> Predictions:
        """See `Scorer.predictions`."""
        del own
        if len(users):
            of_cohort = self.means[users["user_cohort"][0].as_py()]
            yield slice(0, len(users)), np.broadcast_to(of_cohort, (len(users), *of_cohort.shape))


class _ModelScorer:
    """Users' columns into a scorer of pairs."""

    def __init__(self, bundle: str, pool: Pool, dtype: Dtype, for_all: NDArray[np.bool_]) -> None:
        self._bundle = bundle_in_worker(bundle)
        self._scorer = PairScorer(self._bundle, pool, for_all, dtype)
        self.tasks = self._scorer.tasks

    def predictions(self, users: pa.Table, own: NDArray[np.bool_] | None) -> Predictions:
        """See `Scorer.predictions`."""
        maps = users.select([name for name in users.column_names if name.startswith(PREFIX)])
        side = self._bundle.encoder.side("user")
        categorical, dense = to_arrays(
            users.select([*cat_columns(side), *dense_columns(side)]).to_pandas(), side
        )
        (group,) = self._bundle.places("user_cohort", users["user_cohort"][:1].to_numpy())
        vectors = [
            vectors_of(of_users.combine_chunks(), len(cross.inputs))
            for of_users, cross in zip(maps.columns, self._scorer.crosses, strict=True)
        ]
        yield from self._scorer.predictions(categorical, dense, int(group), vectors, own)


@lru_cache(maxsize=32)  # lists of one context x cohorts of users
def _model_scorer(bundle: str, pool: Pool, dtype: Dtype, for_all: bytes) -> _ModelScorer:
    return _ModelScorer(bundle, pool, dtype, np.frombuffer(for_all, bool))
