"""Users with a past and one day of examples, drawn from the truth of `jobs/workers/synthetic/truth.py`.

Letters: K behaviours, E past events.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from jobs.workers.synthetic.hashing import Floats, Ints, uniforms
from jobs.workers.synthetic.truth import (
    COHORTS,
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
ITEMS = 400


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
    """Make the ITEMS items, and directions; arguments as of the truth's `to_world`."""
    return to_world_of(seed, difference, np.arange(ITEMS), cosine, explained)


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
    vectors = user_vectors(world.seed, ids, world.explained)
    most = np.arange(max(MOST_PAST.values()))
    seen_before = np.broadcast_to(most, (users, len(most)))
    past = _drawn(world, "past", ids, vectors, cohort_of(seen_before))
    happened = seen_before < past_count[:, None]
    return Log(
        world=world,
        attributes=user_attributes(world.seed, ids),
        past_count=past_count,
        cohort=cohort,
        past=replace(past, labels=past.labels * happened[..., None], happened=happened),
        examples=_drawn(world, "examples", ids, vectors, np.broadcast_to(cohort[:, None], (users, examples))),
    )


def _drawn(world: World, stream: str, ids: Ints, vectors: Floats, cohort: Ints) -> Events:
    numbers = np.arange(cohort.shape[1])
    item = item_of(world.seed, stream, ids[:, None], numbers, ITEMS)
    return to_events(world, stream, ids, vectors, numbers, item, cohort)
