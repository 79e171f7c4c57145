"""Filling in: the parts of measures that earlier data dates lack as they are declared now, made anew."""

from collections.abc import Collection
from datetime import date, timedelta

from pyspark.sql import DataFrame

from core.columns import measured_columns
from core.config_model import ENTITIES
from core.expressions import attributes_read
from core.training_days import date_range
from features.attributes import with_attributes
from features.filling import with_state_parts, with_tile_parts
from features.groups import with_group_key
from features.measures import ALL
from features.tiles import to_daily_tiles
from features.windows import longest_window_days
from jobs.runtime.arguments import span_of
from jobs.runtime.functions import with_functions
from jobs.runtime.lacking import columns_read
from jobs.runtime.run import Run


def measured_events(run: Run, first: date, last: date) -> DataFrame:
    """Return accepted events of some data dates with all columns that aggregates read."""
    events = run.read("events", first, last)
    for entity in ENTITIES:
        if attributes := attributes_read(run.config.features, entity):
            events = with_attributes(events, run.read(f"{entity}s"), attributes, f"{entity}_id")
    return with_functions(run, events, date_range(first, last))


def to_tiles(run: Run, events: DataFrame, group: str, names: Collection[str] | None = None) -> DataFrame:
    """Return the tiles of a group over events of `measured_events`; of some of its aggregates, or of all."""
    features = run.config.features.groups[group]
    keyed = events if features.key is None else with_group_key(events, features, group)
    if names is not None:
        kept = tuple(each for each in features.aggregates if each.name in names)
        features = features.model_copy(update={"aggregates": kept})
    return to_daily_tiles(keyed, group, features, measured_columns(run.config))


def with_filled_in(run: Run, group: str, tiles: DataFrame, state: DataFrame) -> tuple[DataFrame, DataFrame]:
    """Return tiles and the state as of the day before with what earlier runs did not measure.

    Nothing is done where every earlier data date holds all aggregates as they are declared now. Cost
    otherwise: the events of the dates of the window that lack some; all events before for an all-time one.

    Args:
        run: of `build_features`.
        group: whose tables.
        tiles: up to the last data date, from the first of the longest window on.
        state: as of the day before the first data date.

    Raises:
        ConfigError: events of these data dates lack a column that an aggregate reads.
    """
    features, first = run.config.features.groups[group], run.first
    day_before, begun = first - timedelta(days=1), run.data_dates("events")
    in_window = first - timedelta(days=longest_window_days(features) - 1)
    missing = run.lacking_aggregates(group, date_range(min(in_window, day_before), day_before))
    of_state = missing.get(day_before, frozenset())
    # Of a group that is new it is not known either when its keys were seen; a cross has no state.
    is_new = not features.is_cross and of_state >= {each.name for each in features.aggregates}
    all_time = {each.name for each in features.aggregates if ALL in each.windows and each.name in of_state}
    names = {name for found in missing.values() for name in found}
    if not names or not begun or begun[0] > day_before:
        return tiles, state

    begin = begun[0] if all_time or is_new else max(begun[0], in_window)
    read = {column for each in features.aggregates if each.name in names for column in columns_read(each)}
    of_events = {*read, str(features.key_column)} & {*run.catalog["events"].columns}
    run.require_filled_in("events", of_events, date_range(begin, day_before), f"a feature of group {group}")
    events = measured_events(run, begin, day_before)
    made = run.compute(to_tiles(run, events, group, names))
    run.note(f"{group}: {', '.join(sorted(names))} filled in from events of {span_of(begin, day_before)}")

    before = with_tile_parts(
        tiles.where(f"data_date < DATE'{first}'"),
        made.where(f"data_date >= DATE'{in_window}'"),
        features,
        names,
        group,
    )
    tiles = before.unionByName(tiles.where(f"data_date >= DATE'{first}'"))
    if all_time or is_new:
        state = with_state_parts(state, made, features, all_time, group)
    return tiles, state
