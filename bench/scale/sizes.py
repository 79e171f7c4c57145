"""How large the logs of whole nights are, and which dates do what."""

from dataclasses import dataclass
from datetime import date, timedelta

from jobs.workers.synthetic.spec import LogSpec

USERS, ITEMS, EVENTS_PER_DAY, DAYS = 27_285, 7_583, 14_830, 15
"""Of the demo's log: 222,444 events."""
POOL = 300


@dataclass(frozen=True)
class Size:
    """A log, and what its nights are asked for.

    Attributes:
        name: in tables.
        spec: of the log.
        pool: items that each user is scored against.
    """

    name: str
    spec: LogSpec
    pool: int

    @staticmethod
    def times(factor: float, days: int = DAYS) -> "Size":
        """Return so many times the users and events per date of the demo, and its items, over some dates."""
        events, users = max(1, round(EVENTS_PER_DAY * factor)), max(1, round(USERS * factor))
        spec = LogSpec(seed=1, events_per_day=events, days=days, users=users, items=ITEMS)
        return Size(f"{factor:g}x", spec, POOL)

    @staticmethod
    def large() -> "Size":
        """Return a log of 20 M events: 1 M users, each scored against 500 items."""
        spec = LogSpec(seed=1, events_per_day=1_333_333, days=DAYS, users=1_000_000, items=ITEMS)
        return Size("1 M users", spec, 500)

    @property
    def text(self) -> str:
        """What it is, in words."""
        spec = self.spec
        events = spec.events_per_day * spec.days
        return (
            f"{self.name}: {spec.users:,} users, {spec.items:,} items, about {events:,} events over "
            f"{spec.days} dates, {self.pool} items per user"
        )

    @property
    def training_night(self) -> date:
        """The last date but one; all before it are history."""
        return self.spec.date_of(self.spec.days - 2)

    @property
    def window_days(self) -> int:
        """Days of the training set: of 15 dates 8, as in the demo."""
        return (self.spec.days + 1) // 2

    @property
    def settings(self) -> tuple[str, ...]:
        """What `--set` gets: a training set of the days right before the training night, and the pool."""
        night = self.training_night
        pool = f"[{{source: most_shown, items: {self.pool - 20}, window: 7d}}, {{source: newest, items: 20}}]"
        return (
            f"training.first_data_date={night - timedelta(days=self.window_days)}",
            f"training.anchor={night}",
            f"training.window_days={self.window_days}",
            f"lists.home.pool={pool}",
        )
