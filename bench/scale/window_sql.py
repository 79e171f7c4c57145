"""The features of one date as SQL over raw events: one GROUP BY, without tiles and without a state."""

from datetime import date

from core.config_model import EntityName
from core.features import Aggregate, Rate
from core.schema import Config
from features.measures import PRESENCE


def features_sql(config: Config, entity: EntityName, data_date: date, types: dict[str, str]) -> str:
    """Return a query of the tables `events` and `users` (`items`) for the rows of one date of the features.

    Args:
        config: aggregates, rates and attributes.
        entity: whose features.
        data_date: as of its end.
        types: column -> type of the stored features; the query has these columns.
    """
    features = getattr(config.features, entity)
    key, day = f"{entity}_id", f"DATE'{data_date}'"
    aggregates = (*PRESENCE, *features.aggregates)
    measures = [
        f"{_measure(aggregate, window, day)} AS {entity}_{aggregate.name}_{window}"
        for aggregate in aggregates
        for window in aggregate.windows
    ]
    columns = {
        key: f"coalesce(known.{key}, seen.{key})",
        "data_date": day,
        f"{entity}_is_never_seen": f"{entity}_last_data_date_all IS NULL",
        f"{entity}_recency_days": f"datediff({day}, {entity}_last_data_date_all)",
    }
    columns |= {name: name for name in features.attributes}
    columns |= {
        f"{entity}_{a.name}_{window}": _filled(a, f"{entity}_{a.name}_{window}")
        for a in aggregates
        for window in a.windows
    }
    columns |= {
        f"{entity}_{rate.name}_{window}": _rate(rate, window, entity)
        for rate in features.rates
        for window in rate.windows
    }
    selected = ",\n  ".join(f"CAST({columns[name]} AS {kind}) AS {name}" for name, kind in types.items())
    return f"""
WITH seen AS (
  SELECT {key}, {", ".join(measures)}
  FROM events WHERE data_date <= {day} GROUP BY {key}
), known AS (
  SELECT * FROM {entity}s WHERE valid_from <= {day} AND (valid_to IS NULL OR {day} < valid_to)
)
SELECT
  {selected}
FROM known FULL OUTER JOIN seen ON known.{key} = seen.{key}"""


def _measure(aggregate: Aggregate, window: str, day: str) -> str:
    inside = "true" if window == "all" else f"data_date > date_sub({day}, {window.removesuffix('d')})"
    counted = f"CASE WHEN {inside} AND ({aggregate.where or 'true'}) THEN {aggregate.of or '1'} END"
    return f"{aggregate.agg}({counted})"


def _filled(aggregate: Aggregate, column: str) -> str:
    return f"coalesce({column}, 0)" if aggregate.agg in ("count", "sum") else column


def _rate(rate: Rate, window: str, entity: EntityName) -> str:
    of, per = (f"CAST({entity}_{name}_{window} AS double)" for name in (rate.of, rate.per))
    prior, strength = (rate.smoothing.prior, rate.smoothing.strength) if rate.smoothing else (0.0, 0.0)
    smoothed = f"(coalesce({of}, 0) + {prior * strength!r}D) / ({per} + {strength!r}D)"
    return f"CASE WHEN {per} > 0 THEN {smoothed} END"
