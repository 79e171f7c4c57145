"""Names of the columns that a configuration declares, in their order."""

from core.config_model import EntityName
from core.schema import Aggregate, Config, EntityFeatures, Rate


def context_columns(config: Config) -> list[str]:
    """Columns of an impression that are neither key, time nor behaviour."""
    return [c for c in config.source.events.columns if c not in ("user_id", "item_id", "event_time")]


def event_columns(config: Config) -> list[str]:
    """Columns of `events` that an expression may read."""
    return ["user_id", "item_id", "event_time", *context_columns(config), *config.behaviours]


def feature_columns(features: EntityFeatures, entity: EntityName) -> list[str]:
    """Columns of `user_features` or `item_features` behind the key and the data date."""
    built_in = ("is_never_seen", "recency_days", "first_event_time_all", "last_data_date_all")
    measures: tuple[Aggregate | Rate, ...] = (*features.aggregates, *features.rates)
    measured = [f"{measure.name}_{window}" for measure in measures for window in measure.windows]
    return [*(f"{entity}_{name}" for name in (*built_in, *measured)), *features.attributes]
