"""Sizes are multiples of the demo's log, and their training night has its window before it."""

from datetime import date, timedelta

import pyarrow.parquet as pq

from bench.scale.sizes import DAYS, EVENTS_PER_DAY, ITEMS, USERS, Size
from core.load import PROJECT_DIR, load_config
from core.training_days import evaluation_days, training_days

DATA = PROJECT_DIR / "data" / "kuairand_pure"


def test_once_is_the_log_of_the_demo() -> None:
    logs = [*(DATA / "log").glob("*.parquet")]
    events = sum(pq.read_metadata(log).num_rows for log in logs)

    assert len(logs) == DAYS
    assert pq.read_metadata(DATA / "user_features.parquet").num_rows == USERS
    assert pq.read_metadata(DATA / "video_features_basic.parquet").num_rows == ITEMS
    assert 0.95 * events < EVENTS_PER_DAY * DAYS <= events  # some rows are duplicates


def test_users_and_events_grow_together() -> None:
    once, more = Size.times(1), Size.times(16)

    assert (more.name, more.spec.users, more.spec.items) == ("16x", 16 * once.spec.users, once.spec.items)
    assert more.spec.events_per_day == 16 * once.spec.events_per_day


def test_a_night_trains_on_the_days_of_history_before_it() -> None:
    size = Size.large()
    config = load_config("synthetic", "local", "ple", size.settings)

    days = training_days(config, size.training_night)

    assert size.training_night == date(2024, 2, 14)
    assert days[-1] == size.training_night - timedelta(days=1)
    assert days[0] == config.training.first_data_date > size.spec.first_date
    assert evaluation_days(config, size.training_night) == [size.training_night]
    assert sum(source.items for source in config.lists["home"].pool) == 500
