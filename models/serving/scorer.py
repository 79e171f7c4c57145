"""Scores of users against a pool of items; pairs exist inside of this module only.

Letters: U users, I items, K tasks, D width of the input vector, k length of a list.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.encoder import Entity
from core.errors import LamplighterError
from models.modules.pairs import BLOCK, PairRows, PoolRows
from models.serving.bundle import Bundle
from models.serving.crosses import Cross, UserVectors, to_pair_inputs

ROWS_AT_ONCE = 1024
"""Pairs of a forward pass, about: enough for the matrix products, few enough for the cache."""


class Pool:
    """The items that every user is scored against, and the context of lists; equal by content.

    Args:
        item_ids: (I,) integers or strings; they break ties of scores.
        item_group: places of the items' cohorts, (I,).
        items: encoded item columns: ids (I, C of items) and raw dense values (I, F of items).
        context: encoded context columns, ids (C of context,) and raw dense values (F of context,).
        crosses: those that have the inputs of pairs.
    """

    def __init__(
        self,
        item_ids: NDArray[Any],
        item_group: NDArray[np.int64],
        items: tuple[NDArray[Any], NDArray[Any]],
        context: tuple[NDArray[Any], NDArray[Any]],
        crosses: Sequence[Cross] = (),
    ) -> None:
        self.item_ids, self.item_group = item_ids, item_group
        self.items, self.context, self.crosses = items, context, tuple(crosses)
        of_crosses = [part for c in self.crosses for part in (c.inputs, c.item_key, c.defaults)]
        parts = (item_ids, item_group, *items, *context, *of_crosses)
        self.key = hash(tuple(part.tobytes() for part in parts))

    def __hash__(self) -> int:
        return self.key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pool) and other.key == self.key


@dataclass(frozen=True)
class TopK:
    """The best items of some users, best first.

    Shapes: item, places in the pool as it was given, (U, k) int64; probabilities, calibrated (for a
    regression the prediction), (U, k, K) float64; score, (U, k) float64.
    """

    item: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    score: NDArray[np.float64]


class PairScorer:
    """Score any number of users against one pool of items, in one context.

    Items of one group of the model share a forward pass, which computes the cells of
    this group alone. Every forward pass over the same items has the same shape (the last one of a call is
    filled up), so that the numbers of a user do not depend on who else is scored in the same call. Cost:
    U x I forward rows, without what is linear in the user alone, in the item alone or in the context: a first
    layer computes that once per user and once per item (models/modules/pairs.py).

    Attributes:
        crosses: those of the pool, its items in order of item_id.
        users_at_once: users of one forward pass.

    Args:
        bundle: the model.
        pool: the items, and the context.
        ranking: binary task -> exponent; score = product of probability ** exponent.

    Raises:
        LamplighterError: an empty pool, sizes that are not the encoder's, or an unknown task.
    """

    def __init__(
        self,
        bundle: Bundle,
        pool: Pool,
        ranking: Mapping[str, float],
    ) -> None:
        self._bundle = bundle
        self._model = bundle.model()
        self._is_binary = np.array([task.kind == "binary" for task in bundle.manifest.tasks])
        binary = [task.name for task in bundle.manifest.tasks if task.kind == "binary"]
        unknown = sorted(set(ranking) - set(binary))
        if unknown:
            raise LamplighterError(
                f"ranking.weights names {unknown}, but the binary tasks of model "
                f"{bundle.manifest.model_version} are {binary}; name these, or train a model with the others"
            )
        if not len(pool.item_ids):
            raise LamplighterError("the pool of items is empty; look at `candidates` and at item_features")
        self._exponents = np.array([ranking.get(task.name, 0.0) for task in bundle.manifest.tasks])
        # In order of item_id: a stable sort by score then leaves equal scores in that order.
        self._order = np.argsort(pool.item_ids, kind="stable")
        self._item_group = pool.item_group[self._order]
        self.crosses = [replace(cross, item_key=cross.item_key[self._order]) for cross in pool.crosses]
        group_I = self._model.group_of(np.zeros_like(self._item_group), self._item_group)
        with torch.inference_mode():
            items_ID = self._embed("item", pool.items[0][self._order], pool.items[1][self._order])
            context_1D = self._embed("context", pool.context[0][None, :], pool.context[1][None, :])
            places = [np.flatnonzero(group_I == group) for group in np.unique(group_I)]
            widths = self._model.input.widths
            self._parts = [
                (own, PoolRows(items_ID[np.resize(own, _filled(len(own)))], context_1D, widths))
                for own in places
            ]
        self.users_at_once = max(1, round(ROWS_AT_ONCE / len(self._order)))

    def top_k(
        self,
        user_categorical: NDArray[Any],
        user_dense: NDArray[Any],
        user_group: int,
        k: int,
        vectors: Sequence[UserVectors] = (),
    ) -> TopK:
        """Return the k best items of each user (fewer only where the pool is smaller).

        Order: score descending, then item_id ascending.

        Args:
            user_categorical: ids, (U, C of users).
            user_dense: raw values, NaN for null, (U, F of users).
            user_group: place of the cohort that all these users belong to.
            k: length of a list.
            vectors: of the users, for each cross of the pool.

        Raises:
            LamplighterError: sizes that are not the encoder's.
        """
        chunks = self._chunks(user_categorical, user_dense, user_group, vectors)
        parts = [_best(*chunk, k) for chunk in chunks]
        if not parts:
            k, tasks = min(k, len(self._order)), len(self._exponents)
            return TopK(np.empty((0, k), np.int64), np.empty((0, k, tasks)), np.empty((0, k)))
        item, probabilities, score = (np.concatenate(values) for values in zip(*parts, strict=True))
        return TopK(self._order[item], probabilities, score)

    def _chunks(
        self,
        user_categorical: NDArray[Any],
        user_dense: NDArray[Any],
        user_group: int,
        vectors: Sequence[UserVectors],
    ) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Yield probabilities (u, I, K) and scores (u, I) of the users in order, items by item_id."""
        items, at_once = len(self._order), self.users_at_once
        for start in range(0, len(user_categorical), at_once):
            users = slice(start, start + at_once)
            here = len(user_categorical[users])
            fill = [(0, at_once - here), (0, 0)]
            with torch.inference_mode():
                users_UD = self._embed(
                    "user", np.pad(user_categorical[users], fill), np.pad(user_dense[users], fill)
                )
                pairs = to_pair_inputs(self.crosses, vectors, start, at_once, items)
                logits = torch.empty(at_once, items, len(self._exponents))
                for places, pool in self._parts:
                    own = pairs[:, np.resize(places, len(pool))].reshape(at_once * len(pool), -1)
                    pairs_BD = self._embed("pair", np.empty((len(own), 0)), own)
                    (group,) = self._model.group_of(np.array([user_group]), self._item_group[places[:1]])
                    of_part = self._model.from_input(PairRows(users_UD, pool, pairs_BD), int(group))
                    logits[:, places] = of_part.view(at_once, len(pool), -1)[:, : len(places)]
            probabilities, score = self._rank(logits[:here].flatten(0, 1).numpy(), user_group)
            yield probabilities.reshape(here, items, -1), score.reshape(here, items)

    def _rank(
        self, logits: NDArray[np.float32], user_group: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return calibrated probabilities (n, K) and scores (n,), in float64."""
        z = self._bundle.calibration.logits(logits, np.full(len(logits), user_group))
        log_p = -np.logaddexp(0.0, -z)
        return np.where(self._is_binary, np.exp(log_p), z), np.exp(log_p @ self._exponents)

    def _embed(self, side: Entity, categorical: NDArray[Any], dense: NDArray[Any]) -> Tensor:
        layer = self._model.input
        sizes = (len(layer.categorical_columns[side]), len(layer.dense_columns[side]))
        if (categorical.shape[1], dense.shape[1]) != sizes:
            raise LamplighterError(
                f"{side} columns are {categorical.shape[1]} categorical and {dense.shape[1]} dense, but the "
                f"encoder of model {self._bundle.manifest.model_version} has {sizes[0]} and {sizes[1]}; hand "
                "over the encoder's columns of this side, in its order"
            )
        return layer.embed(
            side,
            torch.from_numpy(np.asarray(categorical, dtype=np.int64)),
            torch.from_numpy(np.asarray(dense, dtype=np.float32)),
        )


def _filled(items: int) -> int:
    """Return the number of items rounded up to whole blocks."""
    return items + -items % BLOCK


def _best(
    probabilities: NDArray[np.float64], score: NDArray[np.float64], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return places, probabilities and scores of each user's k best."""
    places = np.argsort(-score, axis=1, kind="stable")[:, :k]
    return (
        places,
        np.take_along_axis(probabilities, places[:, :, None], axis=1),
        np.take_along_axis(score, places, axis=1),
    )
