"""A log with known truth, in which cohorts may behave alike or not.

Users and items are vectors of D numbers, of whose variance attributes explain a share r:
z = sqrt(r) a + sqrt(1 - r) e, a and e standard normal, a seen and e not. A user and an item meet in
h = (z_user + z_item + z_user z_item) / sqrt(3), elementwise. Behaviour k has a unit direction w_k, cosine p
between any two of the first three; what a cohort changes of directions, bases and item vectors is a matter of
dials (jobs/workers/synthetic/dials.py). Interest is b_kc + SLOPE <direction_kc, h>; a click has the
probability
sigmoid(interest). Play time is duration x sigmoid(interest in a long view + logistic noise), and a long
view is more than half of the duration; a like can only follow a long view.

A user's cohort follows from the number of past events (COHORTS): every event of a user, past or
present, is drawn in the cohort that the user is in by then. Every value is a hash of (seed, stream, row).
`bench.cohorts` draws users and their past from this truth, `lamplighter generate` a log of any size.

Letters: n rows, D latent width, K behaviours, C cohorts, E events per row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from jobs.workers.synthetic.dials import (
    COHORTS,
    KNOWN,
    LATENT,
    Behaviour,
    Dials,
    to_bases,
    to_directions,
    to_turns,
)
from jobs.workers.synthetic.hashing import Floats, Ints, normals, uniforms_at

BEHAVIOURS = tuple(behaviour.name for behaviour in KNOWN[:3])
LONG_VIEW = BEHAVIOURS.index("long_view")
FIRST_PAST = {"new": 0, "low": 4, "high": 10}  # past events from which on a user is in the cohort
SLOPE = 2.0


@dataclass(frozen=True)
class World:
    """What holds for all users: some items, and what behaviours are in cohorts.

    Attributes:
        seed: of everything.
        dials: of the world.
        item_attributes: a of the items, (items, D).
        items: z of the items, (items, D).
        views: of each cohort, item and behaviour, (C, items, K, D); None where all see z.
        duration_seconds: of the items, (items,).
        directions: of each behaviour in each cohort, (K, C, D), unit vectors.
        bases: of the interest, (K, C).
    """

    seed: int
    dials: Dials
    item_attributes: Floats
    items: Floats
    views: Floats | None
    duration_seconds: Floats
    directions: Floats
    bases: Floats

    @property
    def behaviours(self) -> tuple[Behaviour, ...]:
        """K of them."""
        return self.dials.to_behaviours()


@dataclass(frozen=True)
class Events:
    """Events of users: who, which item, in which cohort by then, and what happened; arrays of one shape.

    Attributes:
        item: index of the item.
        cohort: index of the user's cohort by then.
        labels: 0 or 1 by behaviour, (..., K).
        probabilities: the true ones, on all impressions, (..., K).
        play_seconds: how long the item played.
        happened: false where an array of past events is longer than a user's past.
    """

    item: Ints
    cohort: Ints
    labels: Floats
    probabilities: Floats
    play_seconds: Floats
    happened: NDArray[np.bool_]


def to_world(seed: int, dials: Dials, item_ids: Ints) -> World:
    """Make items and directions.

    Args:
        seed: of everything.
        dials: what the world is like.
        item_ids: the items that are made; an index of an item is a place among them.
    """
    attributes, hidden = (normals(seed, f"item {what}", item_ids, LATENT) for what in ("seen", "hidden"))
    items = to_vectors(attributes, hidden, dials.explained)
    return World(
        seed=seed,
        dials=dials,
        item_attributes=attributes,
        items=items,
        views=np.einsum("ckdf,if->cikd", to_turns(seed, dials), items) if dials.separation else None,
        duration_seconds=np.exp(3.0 + 0.7 * normals(seed, "duration", item_ids, 1)[:, 0]),
        directions=to_directions(seed, dials),
        bases=to_bases(seed, dials),
    )


def user_attributes(seed: int, ids: Ints) -> Floats:
    """Return a of users, (users, D)."""
    return normals(seed, "user seen", ids, LATENT)


def user_vectors(seed: int, ids: Ints, explained: float) -> Floats:
    """Return z of users, (users, D)."""
    return to_vectors(user_attributes(seed, ids), normals(seed, "user hidden", ids, LATENT), explained)


def to_vectors(attributes: Floats, hidden: Floats, explained: float) -> Floats:
    """Return latent vectors z, as the docstring of this module defines them."""
    vectors: Floats = np.sqrt(explained) * attributes + np.sqrt(1 - explained) * hidden
    return vectors


def cohort_of(past_count: NDArray[Any]) -> Ints:
    """Return the cohort of users with so many past events."""
    ends = np.array([FIRST_PAST[name] for name in COHORTS[1:]])
    return np.searchsorted(ends, past_count, side="right")


def interests(world: World, users: Floats, item: Ints, cohort: Ints) -> Floats:
    """Return the interest of users, z (n, D), in items in cohorts, (n, E) each: (n, E, K).

    That in a like is after a long view.
    """
    slope, offset = interest_lines(world, item, cohort)
    found: Floats = np.einsum("nekd,nd->nek", slope, users) + offset
    return found


def interest_lines(world: World, item: Ints, cohort: Ints) -> tuple[Floats, Floats]:
    """Return slope (n, E, K, D) and offset (n, E, K) of the interest, which is linear in the user's z."""
    z = (
        world.items[item][..., None, :] if world.views is None else world.views[cohort, item]
    )  # (n, E, 1 or K, D)
    direction = np.moveaxis(world.directions, 0, 1)[cohort]  # (n, E, K, D)
    slope = SLOPE / np.sqrt(3) * direction * (1 + z)
    offset = world.bases.T[cohort] + SLOPE / np.sqrt(3) * (direction * z).sum(-1)
    return slope, offset


def to_probabilities(interest: Any, behaviours: Sequence[Behaviour]) -> Any:
    """Return probabilities on all impressions, (..., K): P(like) = P(long view) P(like | long view)."""
    return along_chains(expit(interest), behaviours)


def along_chains(values: Any, behaviours: Sequence[Behaviour]) -> Any:
    """Multiply, in place, a behaviour's probabilities or labels by those of what it follows, (..., K)."""
    for k, behaviour in enumerate(behaviours):
        if behaviour.after is not None:
            values[..., k] *= values[..., behaviour.after]
    return values


def item_of(seed: int, stream: str, user_ids: Ints, numbers: Ints, items: int, hot_item: float = 0.0) -> Ints:
    """Return which item an event shows, of the shape that users and numbers broadcast to.

    Args:
        seed: of everything.
        stream: what the events are.
        user_ids: whose.
        numbers: places of the events among those of their user.
        items: number of items, which are shown equally often.
        hot_item: share of the events that item 0 has beside its equal share of the others.
    """
    drawn = (uniforms_at(seed, f"{stream} item", user_ids, numbers) - hot_item) / (1 - hot_item)
    item: Ints = np.floor(np.maximum(drawn, 0) * items).astype(np.int64)
    return item


def to_events(
    world: World, stream: str, user_ids: Ints, vectors: Floats, numbers: Ints, item: Ints, cohort: Ints
) -> Events:
    """Draw what happened in events of users.

    Args:
        world: items and directions.
        stream: what the events are.
        user_ids: whose, (n,).
        vectors: z of these users, (n, D).
        numbers: places of the events among those of their user, (n, E) or (E,).
        item: index of the item that each shows, (n, E).
        cohort: index of the user's cohort by then, (n, E).
    """
    interest = interests(world, vectors, item, cohort)
    names = [behaviour.name for behaviour in world.behaviours]
    drawn = np.stack(
        [uniforms_at(world.seed, f"{stream} {name}", user_ids[:, None], numbers) for name in names], axis=-1
    )
    # Logistic noise, so that P(share > 1/2) = sigmoid(interest).
    share = expit(interest[..., LONG_VIEW] + logit(drawn[..., LONG_VIEW]))
    happens = drawn < expit(interest)
    happens[..., LONG_VIEW] = share > 0.5
    return Events(
        item=item,
        cohort=np.ascontiguousarray(cohort),
        labels=along_chains(happens, world.behaviours).astype(np.float64),
        probabilities=to_probabilities(interest, world.behaviours),
        play_seconds=world.duration_seconds[item] * share,
        happened=np.ones(item.shape, dtype=np.bool_),
    )
