"""Build `user_features` and `item_features` as of each data date, dense: everybody is in.

spark-submit jobs/build_features.py --data-date 2022-05-07

A range is one pass and one commit a table, equal to date by date.
Cost a night: tiles of the longest window, the state of the day before, and one row for every known
user and item: linear in users, in items, and in those active within the window; not in history.
"""

from datetime import timedelta

from pyspark.sql import DataFrame

from core.config_model import EntityName
from core.errors import LamplighterError
from features.entities import to_known_keys
from features.tiles import to_daily_tiles
from features.windows import longest_window_days, no_state, to_features
from jobs.runtime.job import job
from jobs.runtime.run import Run


@job
def build_features(run: Run) -> None:
    """Replace the data dates of tiles and features of users and items."""
    run.require_inputs()
    require_state(run)
    events = run.compute(run.read("events", run.first, run.last))
    build(run, events, "user")
    build(run, events, "item")


def require_state(run: Run) -> None:
    """All-time numbers continue those of the day before: it must be there, unless nothing ever was.

    Raises:
        LamplighterError: features of the day before are missing though there are earlier events.
    """
    day_before = run.first - timedelta(days=1)
    earlier = [day for day in run.store.data_dates("events") if day < run.first]
    if earlier and day_before not in run.store.data_dates("user_features"):
        raise LamplighterError(
            f"user_features has no rows as of {day_before}, which all-time counts continue (events begin on "
            f"{earlier[0]}); run `lamplighter build_features --data-date {earlier[0]}..{day_before}` first"
        )


def build(run: Run, events: DataFrame, entity: EntityName) -> None:
    """Tiles, then features, of one entity; the features are committed last."""
    features = getattr(run.config.features, entity)
    daily = run.compute(to_daily_tiles(events, entity, features, run.config.behaviours))
    run.replace(f"{entity}_daily", daily)

    day_before = run.first - timedelta(days=1)
    oldest = run.first - timedelta(days=longest_window_days(features) - 1)
    tiles = run.read(f"{entity}_daily", oldest, run.last)
    state = run.read(f"{entity}_features", day_before)
    if day_before not in run.store.data_dates(f"{entity}_features"):
        state = no_state(tiles, features, entity)
    entities = run.read(f"{entity}s")
    keys = to_known_keys(entities, tiles, state, entity, run.first, run.last)
    rows = to_features(keys, tiles, state, entities, features, entity, run.first, run.last)
    rows = run.compute(rows)

    run.validate(rows, f"{entity}_features")
    run.replace(f"{entity}_features", rows)


if __name__ == "__main__":
    build_features.main()
