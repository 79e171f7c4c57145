"""Scores of pairs by a plain forward pass over joined rows: what factorised maps are compared with."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.encoder import Entity
from models.serving.bundle import Bundle
from models.serving.scorer import Pool

USERS_AT_ONCE = 16


class PlainScorer:
    """Every user's part of the input vector is copied for every item, sixteen users at a time.

    Args:
        bundle: the model.
        pool: items of one or several cohorts, and the context.
    """

    def __init__(self, bundle: Bundle, pool: Pool) -> None:
        self._bundle, self._model = bundle, bundle.model()
        groups = self._model.group_of(np.zeros_like(pool.item_group), pool.item_group)
        self._parts = [np.flatnonzero(groups == group) for group in np.unique(groups)]
        self._pool = pool
        with torch.inference_mode():
            self._items_ID = self._embed("item", *pool.items)
            context = pool.context[0][None, :], pool.context[1][None, :]
            self._context_1D = self._embed("context", *context)

    def probabilities(
        self, users: tuple[NDArray[np.int64], NDArray[np.float32]], user_group: int
    ) -> NDArray[np.float64]:
        """Return calibrated probabilities, (U, I, K)."""
        items = len(self._pool.item_ids)
        found = []
        with torch.inference_mode():
            for start in range(0, len(users[0]), USERS_AT_ONCE):
                here = slice(start, start + USERS_AT_ONCE)
                users_UD = self._embed("user", users[0][here], users[1][here])
                logits = torch.empty(len(users_UD), items, len(self._bundle.manifest.tasks))
                for places in self._parts:
                    count = len(users_UD) * len(places)
                    parts = [
                        users_UD.repeat_interleave(len(places), dim=0),
                        self._items_ID[places].repeat(len(users_UD), 1),
                        self._context_1D.expand(count, -1),
                    ]
                    group = self._model.group_of(np.array([user_group]), self._pool.item_group[places[:1]])
                    rows = self._model.from_input(torch.cat(parts, dim=1), int(group[0]))
                    logits[:, places] = rows.view(len(users_UD), len(places), -1)
                flat = logits.flatten(0, 1).numpy()
                found.append(self._bundle.calibration.apply(flat, np.full(len(flat), user_group)))
        return np.concatenate(found).reshape(len(users[0]), items, -1)

    def _embed(self, side: Entity, categorical: NDArray[Any], dense: NDArray[Any]) -> Tensor:
        return self._model.input.embed(side, torch.from_numpy(categorical), torch.from_numpy(dense))
