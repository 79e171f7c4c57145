"""Columns of events that functions of the project compute, read as declared."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.derived import Derived
from core.errors import ConfigError
from features.casts import read_behaviour

EventFunction = Callable[[DataFrame], DataFrame]


def with_derived(
    events: DataFrame,
    derived: Mapping[str, Derived],
    functions: Mapping[str, EventFunction],
    dates: Sequence[date],
) -> DataFrame:
    """Add the declared columns of functions to events; null where a function returns no row or no such value.

    Grain: as it came, if each function returns an event_id once per data date.
    Cost: each function per data date, and a join of the date's events with what it returns.

    Args:
        events: of some data dates.
        derived: name -> declaration.
        functions: name -> the function, called with the events of one data date.
        dates: the data dates.

    Raises:
        ConfigError: a function returns no event_id.
    """
    for name, each in derived.items():
        made = [_read(functions[name](of_date(events, day)), name, each, day) for day in dates]
        columns = reduce(DataFrame.unionByName, made)
        events = events.join(columns, on=["event_id", "data_date"], how="left")
    return events


def of_date(events: DataFrame, data_date: date) -> DataFrame:
    """Return the events of one data date."""
    return events.where(F.col("data_date") == data_date)


def _read(made: DataFrame, name: str, derived: Derived, data_date: date) -> DataFrame:
    if "event_id" not in made.columns:
        raise ConfigError(
            f"derived.{name}: {derived.call} returns columns {made.columns}; expected event_id among them"
        )
    read = [read_behaviour(column, made).alias(name) for name, column in derived.columns.items()]
    return made.select("event_id", F.lit(data_date).alias("data_date"), *read)
