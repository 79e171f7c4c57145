"""Build the features of each group as of each data date: of all known users and items, and of other keys.

spark-submit jobs/build_features.py --data-date 2022-05-07

A range is one pass and one commit per table, equal to date by date.
Cost per night: tiles of the longest window, the state of the day before, and one row for every known
user and item, for every value of a further key seen so far, and for every pair of a cross in its longest
window: linear in keys, and in those active within the window; not in history. The date's events are read
once.
"""

from datetime import timedelta

from pyspark.sql import DataFrame

from core.errors import LamplighterError
from core.schema import Config
from features.entities import to_known_keys
from features.windows import longest_window_days, no_state, to_cross_features, to_features
from jobs.runtime.arguments import span_of
from jobs.runtime.filling import measured_events, to_tiles, with_filled_in
from jobs.runtime.group_tables import has_state, read_group
from jobs.runtime.job import RANGE, job
from jobs.runtime.reads import STATE, earlier, own_state, same_day, trailing
from jobs.runtime.run import Run


def _longest_window(config: Config) -> int:
    return max(longest_window_days(features) for features in config.features.groups.values())


@job(
    reads=(
        same_day("events"),
        earlier("events", "for measures that were not declared then"),
        same_day("{entity}s"),
        trailing("{group}_daily", _longest_window, "days of the longest window"),
        own_state(STATE),
        own_state("{group}_features"),
    ),
    writes=("{group}_daily", STATE, "{group}_features"),
    config=("features", "behaviours", "derived"),
    dates=RANGE,
    after=("check",),
)
def build_features(run: Run) -> None:
    """Replace the data dates of tiles, state and features of all groups."""
    require_state(run)
    events = run.compute(measured_events(run, run.first, run.data_date))
    for group in run.config.features.groups:
        build(run, events, group)


def require_state(run: Run) -> None:
    """Stop unless the day before, whose all-time numbers these continue, is there or has no events.

    Raises:
        LamplighterError: features of the day before are missing though there are earlier events.
    """
    day_before = run.first - timedelta(days=1)
    before = [data_date for data_date in run.data_dates("events") if data_date < run.first]
    for group, features in run.config.features.groups.items():
        if features.is_cross:
            continue  # made of the tiles of its windows alone
        table = f"{group}_features"
        built = run.data_dates(table)
        # A further key may have had no value yet: its table is there, without rows.
        is_empty = features.key is not None and run.exists(table) and all(day > day_before for day in built)
        is_new = features.key is not None and bool(run.lacking_aggregates(group, [day_before]))
        if before and day_before not in built and not is_empty and not is_new:
            newest = max((day for day in built if day < day_before), default=None)
            first = before[0] if newest is None else newest + timedelta(days=1)
            span = span_of(first, day_before)
            raise LamplighterError(
                f"{table} has no rows as of {day_before}, which all-time counts continue (events begin on "
                f"{before[0]}); run `lamplighter history --data-date {span}` first, with --allow-empty if "
                "these dates have no events"
            )


def build(run: Run, events: DataFrame, group: str) -> None:
    """Build tiles, then state and features, of one group."""
    features, first, last = run.config.features.groups[group], run.first, run.data_date
    run.commit(f"{group}_daily", to_tiles(run, events, group))

    tiles = run.read(f"{group}_daily", first - timedelta(days=longest_window_days(features) - 1), last)
    tiles, state = with_filled_in(run, group, tiles, state_before(run, tiles, group))
    if features.is_cross:
        built = to_cross_features(tiles, features, group, first, last)
    else:
        entities = run.read(f"{group}s") if features.key is None else None
        keys = to_known_keys(entities, tiles, state, group, first, last)
        built = to_features(keys, tiles, state, entities, features, group, first, last)
    if has_state(run, group):
        built = run.compute(built)
        run.commit(f"{group}_state", built.select(*run.catalog[f"{group}_state"].columns))
    run.commit(f"{group}_features", built.select(*run.catalog[f"{group}_features"].columns))


def state_before(run: Run, tiles: DataFrame, group: str) -> DataFrame:
    """Return what features of a group continue: those as of the day before; of a cross nothing."""
    features, day_before = run.config.features.groups[group], run.first - timedelta(days=1)
    if features.is_cross or day_before not in run.data_dates(f"{group}_features"):
        return no_state(tiles, features, group)
    return read_group(run, group, day_before)


if __name__ == "__main__":
    build_features.main()
