"""A log that a cluster runs nights on within a minute: 400 events per day of 80 users and 40 items."""

import random
from datetime import date, datetime, time, timedelta
from pathlib import Path

from tests.tiny_log import NAME, deliver, write_tiny_project

FIRST_DATE = date(2024, 2, 26)
FIRST_NIGHT = date(2024, 3, 1)
NIGHTS = tuple(FIRST_NIGHT + timedelta(days=n) for n in range(3))
EVENTS = 400
SETTINGS = (
    "training.first_data_date=2024-02-27",
    "training.anchor=2024-03-01",
    "training.every_days=100",  # the first night trains
    "training.window_days=3",
    "model.optimiser.max_epochs=2",
    "candidates.most_shown=20",
    "candidates.newest=5",
    "ranking.top_k=5",
)


def write_small_project(folder: Path) -> Path:
    """Write the project and all its files; the same rows at every call."""
    write_tiny_project(folder)
    chance = random.Random(20240301)
    day = FIRST_DATE
    while day <= NIGHTS[-1]:
        rows = []
        for n in range(EVENTS):
            at = datetime.combine(day, time()) + timedelta(seconds=n * 200)
            user, item = chance.randrange(80), chance.randrange(40)
            clicked = int(chance.random() < (0.1 + 0.6 * (user % 4 == item % 4)))
            rows.append((f"u{user}", f"i{item}", at, clicked))
        deliver(folder, day, "log", rows)
        day += timedelta(days=1)
    return folder


def flags(project: Path) -> list[str]:
    """Return the flags of each command on the project."""
    return ["--project", str(project), "--dataset", NAME, *(part for s in SETTINGS for part in ("--set", s))]
