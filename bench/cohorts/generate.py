"""A log with known truth, in which cohorts may behave alike or not.

Users and items are vectors of D numbers, of whose variance attributes explain a share r:
z = sqrt(r) a + sqrt(1 - r) e, a and e standard normal, a seen and e not. A user and an item meet in
h = (z_user + z_item + z_user z_item) / sqrt(3), elementwise. Behaviour k has a unit direction w_k, cosine p
between any two; in cohort c its direction is sqrt(1 - q^2) w_k + q r_kc, r_kc a unit vector orthogonal to
w_k (q = 0: cohorts behave alike). Interest is b_k + SLOPE <direction, h>; a click has the probability
sigmoid(interest). Play time is duration x sigmoid(interest in a long view + logistic noise), and a long
view is more than half of the duration; a like can only follow a long view.

A user's cohort follows from the number of past events (COHORTS): every event of a user, past or
present, is drawn in the cohort that the user is in by then. Every value is a hash of (seed, stream, row).

Letters: n rows, D latent width, K behaviours, C cohorts, E past events.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from bench.cohorts.hashing import Floats, normals, uniforms

BEHAVIOURS = ("click", "long_view", "like")
COHORTS = ("new", "low", "high")
FIRST_PAST = {"new": 0, "low": 4, "high": 10}  # past events from which on a user is in the cohort
MOST_PAST = {"new": 3, "low": 9, "high": 40}
LATENT, ITEMS, SLOPE = 6, 400, 2.0
BASE = (-0.4, -0.9, -1.8)  # of the interest in a click, a long view, a like after a long view

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """What holds for all users: items, and the directions of behaviours in cohorts.

    Attributes:
        seed: of everything.
        explained: r, the share of a vector's variance that attributes explain.
        item_attributes: a of the items, (ITEMS, D).
        items: z of the items, (ITEMS, D).
        duration_seconds: of the items, (ITEMS,).
        directions: of each behaviour in each cohort, (K, C, D), unit vectors.
    """

    seed: int
    explained: float
    item_attributes: Floats
    items: Floats
    duration_seconds: Floats
    directions: Floats


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


@dataclass(frozen=True)
class Log:
    """Users as of a data date, their past, and one day of examples after it.

    Attributes:
        world: what holds for all.
        attributes: a of the users, (users, D).
        past_count: number of past events, (users,).
        cohort: index of the cohort as of the data date, (users,).
        past: past events, (users, E).
        examples: events of the day after, (users, examples per user).
    """

    world: World
    attributes: Floats
    past_count: Ints
    cohort: Ints
    past: Events
    examples: Events


def to_world(seed: int, difference: float, cosine: float = 0.5, explained: float = 0.5) -> World:
    """Make the items and directions.

    Args:
        seed: of everything.
        difference: q, in [0, 1], how differently cohorts behave.
        cosine: p, in [0, 1], between the directions of two behaviours.
        explained: r, in [0, 1].
    """
    ids = np.arange(ITEMS)
    attributes, hidden = (normals(seed, f"item {what}", ids, LATENT) for what in ("seen", "hidden"))
    basis, _ = np.linalg.qr(normals(seed, "behaviours", np.arange(LATENT), LATENT))
    common, *own = basis.T[: 1 + len(BEHAVIOURS)]
    w = np.stack([np.sqrt(cosine) * common + np.sqrt(1 - cosine) * v for v in own])
    across = normals(seed, "cohorts", np.arange(len(BEHAVIOURS)), len(COHORTS) * LATENT)
    across = across.reshape(len(BEHAVIOURS), len(COHORTS), LATENT)
    across -= np.einsum("kcd,kd->kc", across, w)[..., None] * w[:, None]
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    return World(
        seed=seed,
        explained=explained,
        item_attributes=attributes,
        items=to_vectors(attributes, hidden, explained),
        duration_seconds=np.exp(3.0 + 0.7 * normals(seed, "duration", ids, 1)[:, 0]),
        directions=np.sqrt(1 - difference**2) * w[:, None] + difference * across,
    )


def to_log(world: World, users: int, shares: Mapping[str, float], examples: int, first_user: int = 0) -> Log:
    """Draw users, their past and their examples.

    Args:
        world: items and directions.
        users: their number.
        shares: of users by cohort; they add up to 1.
        examples: of each user.
        first_user: id of the first; logs of different ids are of different users.
    """
    ids = first_user + np.arange(users)
    ends = np.cumsum([shares[name] for name in COHORTS])
    cohort = np.minimum(np.searchsorted(ends, uniforms(world.seed, "cohort", ids, 1)[:, 0]), len(COHORTS) - 1)
    first, last = (np.array([of[name] for name in COHORTS])[cohort] for of in (FIRST_PAST, MOST_PAST))
    past_count = first + np.floor(uniforms(world.seed, "past", ids, 1)[:, 0] * (1 + last - first)).astype(int)
    attributes, hidden = (normals(world.seed, f"user {what}", ids, LATENT) for what in ("seen", "hidden"))
    vectors = to_vectors(attributes, hidden, world.explained)
    most = max(MOST_PAST.values())
    seen_before = np.broadcast_to(np.arange(most), (users, most))
    return Log(
        world=world,
        attributes=attributes,
        past_count=past_count,
        cohort=cohort,
        past=_to_events(
            world, "past", ids, vectors, cohort_of(seen_before), seen_before < past_count[:, None]
        ),
        examples=_to_events(
            world,
            "examples",
            ids,
            vectors,
            np.broadcast_to(cohort[:, None], (users, examples)),
            np.ones((users, examples), dtype=np.bool_),
        ),
    )


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
    z = world.items[item][..., None, :]  # (n, E, 1, D)
    direction = np.moveaxis(world.directions, 0, 1)[cohort]  # (n, E, K, D)
    slope = SLOPE / np.sqrt(3) * direction * (1 + z)
    offset = np.array(BASE) + SLOPE / np.sqrt(3) * (direction * z).sum(-1)
    return slope, offset


def to_probabilities(interest: Any) -> Any:
    """Return probabilities on all impressions, (..., K): P(like) = P(long view) P(like | long view)."""
    click, long_view, like = np.moveaxis(expit(interest), -1, 0)
    return np.stack([click, long_view, long_view * like], axis=-1)


def _to_events(
    world: World, stream: str, ids: Ints, vectors: Floats, cohort: Ints, happened: NDArray[np.bool_]
) -> Events:
    count = cohort.shape[1]
    item = np.floor(uniforms(world.seed, f"{stream} item", ids, count) * ITEMS).astype(np.int64)
    interest = interests(world, vectors, item, cohort)
    clicks, watches, likes = (uniforms(world.seed, f"{stream} {name}", ids, count) for name in BEHAVIOURS)
    share = expit(
        interest[..., 1] + logit(watches)
    )  # logistic noise, so that P(share > 1/2) = sigmoid(interest)
    is_long = share > 0.5
    click, _, like = np.moveaxis(expit(interest), -1, 0)
    labels = np.stack([clicks < click, is_long, is_long & (likes < like)], axis=-1)
    return Events(
        item=item,
        cohort=np.ascontiguousarray(cohort),
        labels=labels.astype(np.float64) * happened[..., None],
        probabilities=to_probabilities(interest),
        play_seconds=world.duration_seconds[item] * share,
        happened=happened,
    )
