"""Predictions of users for a pool of items; pairs exist inside of this module only.

Letters: U users, I items, K tasks, D width of the input vector.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.encoder import Entity
from core.errors import LamplighterError
from models.modules.made import fold
from models.modules.pairs import BLOCK, PairRows, PoolRows, UserRows
from models.serving.bundle import Bundle
from models.serving.crosses import Cross, UserVectors, to_pair_inputs

Dtype = Literal["float32", "bfloat16"]
LEAST_ROWS, MOST_ROWS, MULTIPLICATIONS = 1024, 8192, 2**28
"""Pairs of a forward pass: as many as about so many multiplications allow. Small models take many, beside
which the time of the calls themselves is small; those of large ones have to fit the cache."""

MOST_USERS = 512
"""Users of a forward pass."""

PAIRS_AT_ONCE = 256
"""Pairs of a forward pass over items that are not for everybody."""


class Pool:
    """The items that users are scored against, and the context of lists; equal by content.

    Args:
        item_ids: (I,) integers or strings; equal scores are in their order here.
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


class PairScorer:
    """Predictions of any number of users for the items of one pool, in one context.

    Items of one group of the model share a forward pass, which computes the cells of
    this group alone. Every forward pass over the same items has the same shape (the last one of a call is
    filled up), so that the numbers of a user do not depend on who else is scored in the same call. Cost:
    U x I forward rows, without what is linear in the user alone, in the item alone or in the context: a first
    layer computes that once per user and once per item (models/modules/pairs.py). Items that are not for
    everybody cost a row per user who has them.

    Attributes:
        tasks: names of the model's tasks, in order.
        crosses: those of the pool.
        users_at_once: users of one forward pass.

    Args:
        bundle: the model.
        pool: the items, and the context.
        for_all: which items are for every user, (I,); None: all.
        dtype: of matrix products; bfloat16 by torch.autocast.

    Raises:
        LamplighterError: an empty pool, or sizes that are not the encoder's.
    """

    def __init__(
        self, bundle: Bundle, pool: Pool, for_all: NDArray[np.bool_] | None = None, dtype: Dtype = "float32"
    ) -> None:
        self._bundle = bundle
        self._dtype = dtype
        self._model = bundle.model()
        fold(self._model)
        self._is_binary = np.array([task.kind == "binary" for task in bundle.manifest.tasks])
        self.tasks = tuple(task.name for task in bundle.manifest.tasks)
        if not len(pool.item_ids):
            raise LamplighterError("the pool of items is empty; look at `lists` and at item_features")
        self._item_group = pool.item_group
        self.crosses = pool.crosses
        group_I = self._model.group_of(np.zeros_like(self._item_group), self._item_group)
        is_for_all = np.ones(len(group_I), bool) if for_all is None else for_all
        rows = rows_at_once(sum(each.numel() for each in self._model.network.parameters()))
        with torch.inference_mode():
            items_ID = self._embed("item", *pool.items)
            context_1D = self._embed("context", pool.context[0][None, :], pool.context[1][None, :])

            def parts(chosen: NDArray[np.bool_]) -> list[_Part]:
                places = [np.flatnonzero((group_I == group) & chosen) for group in np.unique(group_I)]
                widths = self._model.input.widths
                return [
                    _Part(own, PoolRows(items_ID[np.resize(own, _filled(len(own)))], context_1D, widths))
                    for of_group in places
                    for own in np.array_split(of_group, -(-len(of_group) // rows) or 1)
                    if len(own)
                ]

            self._of_all, self._of_some = parts(is_for_all), parts(~is_for_all)
        most = min(rows // max(int(is_for_all.sum()), 1), MOST_USERS)
        self.users_at_once = 1 << max(most.bit_length() - 1, 0)  # calls of a power of two have whole passes

    def predictions(
        self,
        user_categorical: NDArray[Any],
        user_dense: NDArray[Any],
        user_group: int,
        vectors: Sequence[UserVectors] = (),
        own: NDArray[np.bool_] | None = None,
    ) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """Yield users of one forward pass after the other, and their predictions, (u, I, K).

        Predictions are calibrated probabilities, of a regression its value, in float64; NaN for an item that
        is neither for everybody nor the user's own.

        Args:
            user_categorical: ids, (U, C of users).
            user_dense: raw values, NaN for null, (U, F of users).
            user_group: place of the cohort that all these users belong to.
            vectors: of the users, for each cross of the pool.
            own: which items each user has, of those that are not for everybody, (U, I); None: none.

        Raises:
            LamplighterError: sizes that are not the encoder's.
        """
        count, at_once = len(user_categorical), self.users_at_once
        fill = [(0, -count % max(at_once, BLOCK)), (0, 0)]
        with torch.inference_mode():
            everybody = UserRows(
                self._embed("user", np.pad(user_categorical, fill), np.pad(user_dense, fill))
            )
        for start in range(0, count, at_once):
            users = slice(start, min(start + at_once, count))
            with torch.inference_mode():
                logits = self._logits(
                    everybody, start, user_group, vectors, own[users] if own is not None else None
                )
            here = users.stop - start
            yield (
                users,
                self._calibrated(logits[:here].flatten(0, 1).numpy(), user_group).reshape(
                    here, len(self._item_group), -1
                ),
            )

    def _logits(
        self,
        everybody: UserRows,
        start: int,
        user_group: int,
        vectors: Sequence[UserVectors],
        own: NDArray[np.bool_] | None,
    ) -> Tensor:
        """Return the logits of one pass, (users_at_once, I, K), NaN for pairs that nobody asked for."""
        items, at_once = len(self._item_group), self.users_at_once
        users = everybody[start : start + at_once]
        logits = torch.full((at_once, items, len(self.tasks)), torch.nan)
        pairs = to_pair_inputs(self.crosses, vectors, start, at_once, items)
        for part in self._of_all:
            own_pairs = pairs[:, part.filled].reshape(at_once * len(part.pool), -1 if pairs.size else 0)
            rows = PairRows(users, part.pool, self._embed_pairs(own_pairs))
            of_part = self._forward(rows, user_group, part).view(at_once, len(part.pool), -1)
            logits[:, part.places] = of_part[:, : len(part.places)]
        if own is not None:
            for part in self._of_some:
                self._fill_in(logits, part, np.nonzero(own[:, part.places]), users, pairs, user_group)
        return logits

    def _fill_in(
        self,
        logits: Tensor,
        part: "_Part",
        picked: tuple[NDArray[np.int64], ...],
        users: UserRows,
        pairs: NDArray[np.float32],
        user_group: int,
    ) -> None:
        """Compute the logits of some pairs, in passes of one shape."""
        for start in range(0, len(picked[0]), PAIRS_AT_ONCE):
            of_users, of_items = (places[start : start + PAIRS_AT_ONCE] for places in picked)
            count, places = len(of_users), part.places[of_items]
            users_B, items_B = (np.resize(each, PAIRS_AT_ONCE) for each in (of_users, of_items))
            rows = PairRows(
                users,
                part.pool,
                self._embed_pairs(pairs[users_B, part.places[items_B]]),
                (torch.from_numpy(users_B), torch.from_numpy(items_B)),
            )
            logits[of_users, places] = self._forward(rows, user_group, part)[:count]

    def _forward(self, rows: PairRows, user_group: int, part: "_Part") -> Tensor:
        (group,) = self._model.group_of(np.array([user_group]), self._item_group[part.places[:1]])
        with torch.autocast("cpu", torch.bfloat16, enabled=self._dtype == "bfloat16"):
            return self._model.from_input(rows, int(group)).float()

    def _calibrated(self, logits: NDArray[np.float32], user_group: int) -> NDArray[np.float64]:
        """Return predictions, (n, K), in float64."""
        z = self._bundle.calibration.logits(logits, np.full(len(logits), user_group))
        with np.errstate(invalid="ignore"):  # NaN: pairs that nobody asked for
            return np.where(self._is_binary, np.exp(-np.logaddexp(0.0, -z)), z)

    def _embed_pairs(self, pairs_BF: NDArray[np.float32]) -> Tensor:
        return self._embed("pair", np.empty((len(pairs_BF), 0)), pairs_BF)

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


class _Part(NamedTuple):
    """Items of one group of the model.

    Attributes:
        places: in the pool, (n,).
        pool: their rows, filled up with rows of the same items.
    """

    places: NDArray[np.int64]
    pool: PoolRows

    @property
    def filled(self) -> NDArray[np.int64]:
        """The places of the rows, (number of rows,)."""
        return np.resize(self.places, len(self.pool))


def _filled(items: int) -> int:
    """Return the number of items rounded up to whole blocks."""
    return items + -items % BLOCK


def rows_at_once(multiplications: int) -> int:
    """Return the pairs of a forward pass.

    Args:
        multiplications: per pair, about.
    """
    return min(max(MULTIPLICATIONS // multiplications, LEAST_ROWS), MOST_ROWS)
