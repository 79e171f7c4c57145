"""The worlds of the regime map: one base world, and others in which one thing differs from it."""

from dataclasses import asdict, dataclass, field
from typing import Any

from jobs.workers.synthetic.dials import Dials

ITEMS = 400
MANY_ITEMS = 20_000
"""Six training examples each, of 120,000."""


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
ALL_SHARED = World("sigma 1", Dials(difference=0.5, shared=1.0, base_spread=0.3))
ONE_DIAL = (
    BASE,
    NOTHING_SHARED,
    ALL_SHARED,
    World("large base rate differences", Dials(0.5, 0.5, base_spread=1.0)),
    World("rare likes after long views", Dials(0.5, 0.5, 0.3, rarity=2.0), has_sample_space=True),
    World("separate representations", Dials(0.5, 0.5, 0.3, separation=0.5)),
    World("ids", BASE.dials, items=MANY_ITEMS, has_user_ids=True),
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
