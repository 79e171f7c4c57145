"""Build `user_features` and `item_features` as of each data date, one row for every known user and item.

spark-submit jobs/build_features.py --data-date 2022-05-07

A range is one pass and one commit per table, equal to date by date.
Cost per night: tiles of the longest window, the state of the day before, and one row for every known
user and item: linear in users, in items, and in those active within the window; not in history.
"""

from datetime import timedelta

from pyspark.sql import DataFrame

from core.config_model import ENTITIES, EntityName
from core.errors import LamplighterError
from core.schema import Config
from features.entities import to_known_keys
from features.tiles import to_daily_tiles
from features.windows import longest_window_days, no_state, to_features
from jobs.runtime.arguments import span_of
from jobs.runtime.job import RANGE, job
from jobs.runtime.reads import own_state, same_day, trailing
from jobs.runtime.run import Run


def _longest_window(config: Config) -> int:
    return max(longest_window_days(features) for features in (config.features.user, config.features.item))


@job(
    reads=(
        same_day("events"),
        same_day("{entity}s"),
        trailing("{entity}_daily", _longest_window, "days of the longest window"),
        own_state("{entity}_features"),
    ),
    writes=("{entity}_daily", "{entity}_features"),
    config=("features", "behaviours"),
    dates=RANGE,
    after=("check",),
)
def build_features(run: Run) -> None:
    """Replace the data dates of tiles and features of users and items."""
    require_state(run)
    events = run.compute(run.read("events", run.first, run.data_date))
    for entity in ENTITIES:
        build(run, events, entity)


def require_state(run: Run) -> None:
    """Stop unless the day before, whose all-time numbers these continue, is there or has no events.

    Raises:
        LamplighterError: features of the day before are missing though there are earlier events.
    """
    day_before = run.first - timedelta(days=1)
    earlier = [data_date for data_date in run.data_dates("events") if data_date < run.first]
    if earlier and day_before not in run.data_dates("user_features"):
        span = span_of(earlier[0], day_before)
        raise LamplighterError(
            f"user_features has no rows as of {day_before}, which all-time counts continue (events begin on "
            f"{earlier[0]}); run `lamplighter history --data-date {span}` first"
        )


def build(run: Run, events: DataFrame, entity: EntityName) -> None:
    """Build tiles, then features, of one entity."""
    features = getattr(run.config.features, entity)
    run.commit(f"{entity}_daily", to_daily_tiles(events, entity, features, run.config.behaviours))

    first, last = run.first, run.data_date
    day_before = first - timedelta(days=1)
    tiles = run.read(f"{entity}_daily", first - timedelta(days=longest_window_days(features) - 1), last)
    state = run.read(f"{entity}_features", day_before)
    if day_before not in run.data_dates(f"{entity}_features"):
        state = no_state(tiles, features, entity)
    entities = run.read(f"{entity}s")
    keys = to_known_keys(entities, tiles, state, entity, first, last)
    run.commit(f"{entity}_features", to_features(keys, tiles, state, entities, features, entity, first, last))


if __name__ == "__main__":
    build_features.main()
