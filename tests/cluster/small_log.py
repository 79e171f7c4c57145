"""A log that a cluster runs nights on within a minute: 400 events per day of 80 users and 40 items.

A quarter of the users click most of what they see: a model that knows users beats the means of items, so that
the first night promotes it and `score` runs it in the executors.
"""

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
    "inputs.dense=[{column: user_click_rate_all}]",
    "model.optimiser={learning_rate: 0.01, batch_rows: 64, max_epochs: 8, patience: 4}",
    "promotion.min_users=10",
    "lists.home.pool=[{source: most_shown, items: 20, window: 2d}, {source: newest, items: 5}]",
    "lists.home.top_k=5",
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
            clicked = int(chance.random() < (0.9 if user % 4 == 0 else 0.1))
            rows.append((f"u{user}", f"i{item}", at, clicked))
        deliver(folder, day, "log", rows)
        day += timedelta(days=1)
    return folder


def flags(project: Path) -> list[str]:
    """Return the flags of each command on the project."""
    return ["--project", str(project), "--dataset", NAME, *(part for s in SETTINGS for part in ("--set", s))]
