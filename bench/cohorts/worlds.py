"""The worlds of the regime map: one base world, others in which one thing differs from it, and drawn ones."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from jobs.workers.synthetic.dials import Dials

ITEMS = 400
MANY_ITEMS = 20_000
"""Six training examples each, of 120,000."""
DRAWN_FROM = 2026
"""Seed of the drawn worlds."""


@dataclass(frozen=True)
class World:
    """What a data set is drawn from, beside its seed and its size.

    Attributes:
        name: of it, as in tables.
        dials: of the truth (jobs/workers/synthetic/dials.py).
        share_of_new: new users among those of training; of the others 3 in 8 are of low activity.
        items: their number, shown equally often; each has an id among the inputs.
        has_user_ids: the user's id is an input, of training users. Users of low and high activity in
            validation and test then are training users, with other examples; new ones are never seen
            before, with id 0.
        has_sample_space: what follows another behaviour is learnt and measured only where that one happened.
        teacher: the variant that labels are drawn from (bench/cohorts/teacher.py); None: from the truth.
    """

    name: str
    dials: Dials = field(default_factory=Dials)
    share_of_new: float = 0.05
    items: int = ITEMS
    has_user_ids: bool = False
    has_sample_space: bool = False
    teacher: str | None = None

    def key(self) -> dict[str, Any]:
        """Return all of it as JSON has it: results of a world that was changed are not found again."""
        return asdict(self)


BASE = World("base", Dials(difference=0.5, shared=0.5, base_spread=0.3))
NOTHING_SHARED = World("sigma 0", Dials(difference=0.5, shared=0.0, base_spread=0.3))
FEW_NEW = World("0.5 % new users", BASE.dials, share_of_new=0.005)
IDS = World("ids", BASE.dials, items=MANY_ITEMS, has_user_ids=True)
ALL_SHARED = World("sigma 1", Dials(difference=0.5, shared=1.0, base_spread=0.3))
ONE_DIAL = (
    BASE,
    NOTHING_SHARED,
    ALL_SHARED,
    World("large base rate differences", Dials(0.5, 0.5, base_spread=1.0)),
    World("rare likes after long views", Dials(0.5, 0.5, 0.3, rarity=2.0), has_sample_space=True),
    World("separate representations", Dials(0.5, 0.5, 0.3, separation=0.5)),
    IDS,
    World("six behaviours", Dials(0.5, 0.5, 0.3, behaviours=6)),
    FEW_NEW,
    World("20 % new users", BASE.dials, share_of_new=0.2),
)
"""`base` and, one each, sigma, base rates, sample spaces, representations, ids, behaviours, new users."""
CONTROLS = (
    World("MFH teacher", BASE.dials, teacher="mfh of the paper"),
    World("shared-bottom teacher", BASE.dials, teacher="shared bottom"),
)
"""Labels by networks of random weights: who does not win the own teacher's world was not measured well."""


def drawn(place: int) -> World:
    """Return a world whose dials are all drawn at once: so that nobody has chosen what is measured in it.

    Drawn uniformly, shares of new users by their logarithm: q .2 to .8, sigma 0 to 1, b 0 to 1, m 0 to .5, p
    and the share of interest that features explain .3 to .7, 3 to 6 behaviours, .5 to 20 % new users; one
    world in four has ids of users (and MANY_ITEMS), one in two sample spaces.
    """
    of = np.random.default_rng([DRAWN_FROM, place])
    dials = Dials(
        difference=_within(of, 0.2, 0.8),
        shared=_within(of, 0.0, 1.0),
        base_spread=_within(of, 0.0, 1.0),
        separation=_within(of, 0.0, 0.5),
        behaviours=int(of.integers(3, 7)),
        cosine=_within(of, 0.3, 0.7),
        explained=_within(of, 0.3, 0.7),
    )
    share_of_new = round(float(np.exp(of.uniform(np.log(0.005), np.log(0.2)))), 4)
    has_user_ids, has_sample_space = bool(of.random() < 0.25), bool(of.random() < 0.5)
    return World(
        f"drawn {place}",
        dials,
        share_of_new,
        MANY_ITEMS if has_user_ids else ITEMS,
        has_user_ids,
        has_sample_space,
    )


def _within(of: np.random.Generator, low: float, high: float) -> float:
    return round(float(of.uniform(low, high)), 2)


DRAWN = tuple(drawn(place) for place in range(1, 13))
