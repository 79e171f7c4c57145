"""Users with a past and one day of examples, drawn from the truth of `jobs/workers/synthetic/truth.py`.

Letters: K behaviours, E past events.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bench.cohorts.worlds import ITEMS
from jobs.workers.synthetic.dials import COHORTS, Dials
from jobs.workers.synthetic.hashing import Floats, Ints, uniforms
from jobs.workers.synthetic.truth import (
    FIRST_PAST,
    Events,
    World,
    cohort_of,
    item_of,
    to_events,
    user_attributes,
    user_vectors,
)
from jobs.workers.synthetic.truth import to_world as to_world_of

MOST_PAST = {"new": 3, "low": 9, "high": 40}
DAY = "examples"
"""The stream of the examples that models are trained on."""


@dataclass(frozen=True)
class Users:
    """Users as of a data date: ids and index of the cohort, (users,) each."""

    ids: Ints
    cohort: Ints


@dataclass(frozen=True)
class Log:
    """Users as of a data date, their past, and one day of examples after it.

    Attributes:
        world: what holds for all.
        users: ids and cohorts.
        attributes: a of the users, (users, D).
        past_count: number of past events, (users,).
        past: past events, (users, E).
        examples: events of the day after, (users, examples per user).
    """

    world: World
    users: Users
    attributes: Floats
    past_count: Ints
    past: Events
    examples: Events

    @property
    def cohort(self) -> Ints:
        """Index of the users' cohort as of the data date, (users,)."""
        return self.users.cohort


def to_world(seed: int, dials: Dials, items: int = ITEMS) -> World:
    """Make some items, and directions."""
    return to_world_of(seed, dials, np.arange(items))


def to_users(seed: int, ids: Ints, shares: Mapping[str, float]) -> Users:
    """Draw the cohorts of users by shares that add up to 1."""
    ends = np.cumsum([shares[name] for name in COHORTS])
    cohort = np.minimum(np.searchsorted(ends, uniforms(seed, "cohort", ids, 1)[:, 0]), len(COHORTS) - 1)
    return Users(ids, cohort)


def to_log(world: World, users: Users, examples: int, day: str = DAY) -> Log:
    """Draw the past of users and their examples.

    Args:
        world: items and directions.
        users: whose; a user of the same id and cohort has the same past.
        examples: of each user.
        day: stream of the examples; another one has other examples.
    """
    ids, cohort, seed = users.ids, users.cohort, world.seed
    first, last = (np.array([of[name] for name in COHORTS])[cohort] for of in (FIRST_PAST, MOST_PAST))
    past_count = first + np.floor(uniforms(seed, "past", ids, 1)[:, 0] * (1 + last - first)).astype(int)
    vectors = user_vectors(seed, ids, world.dials.explained)
    most = np.arange(max(MOST_PAST.values()))
    seen_before = np.broadcast_to(most, (len(ids), len(most)))
    past = _drawn(world, "past", ids, vectors, cohort_of(seen_before))
    happened = seen_before < past_count[:, None]
    return Log(
        world=world,
        users=users,
        attributes=user_attributes(seed, ids),
        past_count=past_count,
        past=replace(past, labels=past.labels * happened[..., None], happened=happened),
        examples=_drawn(world, day, ids, vectors, np.broadcast_to(cohort[:, None], (len(ids), examples))),
    )


def _drawn(world: World, stream: str, ids: Ints, vectors: Floats, cohort: Ints) -> Events:
    numbers = np.arange(cohort.shape[1])
    item = item_of(world.seed, stream, ids[:, None], numbers, len(world.items))
    return to_events(world, stream, ids, vectors, numbers, item, cohort)
