"""GAUC: the mean of the users' own AUCs, weighted by their impressions (Zhu et al., KDD 2017).

Unlike the metrics of models/metrics/binary.py it needs all rows of a user in one place. States of disjoint
*users* add up, those of disjoint rows of one user do not. R is the number of bootstrap replicates.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.metrics.state_bytes import pack, unpack

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class GaucState:
    """Sums over users of one cell.

    Attributes:
        users: users with both classes, which count.
        one_class_users: users with one class only, which are skipped.
        rows: of the users that count, unweighted.
        won: sums of impressions x AUC, of the sample and of its replicates, (1 + R,).
        impressions: sums of weights of the users that count, (1 + R,).
    """

    users: int
    one_class_users: int
    rows: int
    won: Floats
    impressions: Floats

    @staticmethod
    def of(
        user_ids: NDArray[Any],
        logits: NDArray[Any],
        labels: NDArray[Any],
        weight: NDArray[Any],
        user_weights: NDArray[np.uint8],
    ) -> "GaucState":
        """Return the state of all rows of some users; arrays (n,), `user_weights` (n, R). Ties count half."""
        keep = np.asarray(weight) > 0
        z, y = np.asarray(logits, dtype=np.float64)[keep], np.asarray(labels)[keep] > 0.5
        v = np.asarray(weight, dtype=np.float64)[keep]
        _, first_row, user = np.unique(np.asarray(user_ids)[keep], return_index=True, return_inverse=True)
        count = len(first_row)
        user = user.reshape(-1)

        order = np.lexsort((z, user))
        user, z, y, v = user[order], z[order], y[order], v[order]
        # One entry for each (user, score): only the order of different scores decides a pair.
        starts = np.flatnonzero(np.r_[True, (user[1:] != user[:-1]) | (z[1:] != z[:-1])][: len(user)])
        tied_user = user[starts]
        positive = np.add.reduceat(v * y, starts) if len(starts) else np.zeros(0)
        negative = np.add.reduceat(v * ~y, starts) if len(starts) else np.zeros(0)
        positives = np.bincount(tied_user, weights=positive, minlength=count)
        negatives = np.bincount(tied_user, weights=negative, minlength=count)
        of_earlier_users = np.cumsum(negatives) - negatives
        below = np.cumsum(negative) - negative - of_earlier_users[tied_user]
        pairs_won = np.bincount(tied_user, weights=positive * (below + 0.5 * negative), minlength=count)

        counts = (positives > 0) & (negatives > 0)
        auc = pairs_won[counts] / (positives * negatives)[counts]
        impressions = (positives + negatives)[counts]
        columns = np.ones((int(counts.sum()), 1 + user_weights.shape[1]))
        columns[:, 1:] = user_weights[np.flatnonzero(keep)[first_row[counts]]]
        return GaucState(
            users=int(counts.sum()),
            one_class_users=int((~counts).sum()),
            rows=int(counts[user].sum()),
            won=(impressions * auc) @ columns,
            impressions=impressions @ columns,
        )

    def merge(self, *others: "GaucState") -> "GaucState":
        """Add up the states of disjoint users."""
        states = (self, *others)
        return GaucState(
            users=sum(state.users for state in states),
            one_class_users=sum(state.one_class_users for state in states),
            rows=sum(state.rows for state in states),
            won=np.sum([state.won for state in states], axis=0),
            impressions=np.sum([state.impressions for state in states], axis=0),
        )

    def counts(self) -> dict[str, int]:
        """Counts behind the value: rows and number of users that count, number of users skipped."""
        return {"rows": self.rows, "users": self.users, "one_class_users": self.one_class_users}

    def value(self, metric: Literal["gauc"], min_users: int = 30) -> float | None:
        """Return the GAUC of the sample; None with fewer users that count."""
        if self.users < max(min_users, 1):
            return None
        return float(self.won[0] / self.impressions[0])

    def replicate_values(self, metric: Literal["gauc"]) -> Floats:
        """Return the GAUC of each replicate, (R,); NaN in one that has drawn no user."""
        values = np.full(len(self.won) - 1, np.nan)
        np.divide(self.won[1:], self.impressions[1:], out=values, where=self.impressions[1:] > 0)
        return values

    def to_bytes(self) -> bytes:
        """Serialise; nothing is rounded."""
        counts = [self.users, self.one_class_users, self.rows]
        return pack(b"LGS1", counts, np.stack([self.won, self.impressions]))

    @staticmethod
    def from_bytes(data: bytes) -> "GaucState":
        """Read what `to_bytes` wrote.

        Raises:
            LamplighterError: the bytes are no state of a GAUC, or a truncated one.
        """
        (users, one_class_users, rows), (won, impressions) = unpack(b"LGS1", 3, data)
        return GaucState(users, one_class_users, rows, won, impressions)
