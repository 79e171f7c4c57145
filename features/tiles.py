"""Daily tiles: mergeable sums of one day's events of one user or item."""

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from core.config_model import EntityName
from core.errors import ConfigError
from core.schema import Aggregate, EntityFeatures
from core.source import Behaviour
from features.expressions import readable


def to_daily_tiles(
    events: DataFrame,
    entity: EntityName,
    features: EntityFeatures,
    behaviours: Mapping[str, Behaviour],
) -> DataFrame:
    """Aggregate accepted events to one row per user (item) and day with events.

    Grain: (<entity>_id, data_date). As of: the day alone.
    Units: counts and sums of binary behaviours are bigint, sums of others decimal(22,n), all 0 when no row
    satisfies `where`; minima and maxima have their column's type and are null then.
    Cost: one shuffle of (events per day) partial rows.

    Args:
        events: accepted events, grain event_id.
        entity: whose tiles.
        features: its `aggregates`, one column each, under its bare name.
        behaviours: the declared behaviours; only these can be summed.

    Raises:
        ConfigError: a sum of something that is no behaviour.
    """
    return events.groupBy(f"{entity}_id", "data_date").agg(
        F.min("event_time").alias("first_event_time"),
        *(
            _aggregated(aggregate, behaviours, events).alias(aggregate.name)
            for aggregate in features.aggregates
        ),
    )


def _aggregated(aggregate: Aggregate, behaviours: Mapping[str, Behaviour], events: DataFrame) -> Column:
    """Return one aggregate over the events of its `where`."""
    value = readable(aggregate.of, events) if aggregate.of else F.lit(1)
    counted = F.when(readable(aggregate.where, events), value) if aggregate.where else value
    match aggregate.agg:
        case "count":
            return F.count(counted).cast("bigint")
        case "sum":
            return F.coalesce(F.sum(counted), F.lit(0)).cast(_sum_type(aggregate, behaviours))
        case "min":
            return F.min(counted)
        case "max":
            return F.max(counted)


def _sum_type(aggregate: Aggregate, behaviours: Mapping[str, Behaviour]) -> str:
    behaviour = behaviours.get(aggregate.of or "")
    if behaviour is None:
        raise ConfigError(
            f"features: aggregate {aggregate.name} sums {aggregate.of!r}, which is no behaviour; "
            f"sums are exact only over behaviours: {sorted(behaviours)}"
        )
    return behaviour.sum_type
