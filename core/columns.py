"""Names of the columns that a configuration declares, in their order."""

from core.config_model import EntityName
from core.encoder import Entity
from core.schema import Aggregate, Config, EntityFeatures, Rate


def context_columns(config: Config) -> list[str]:
    """Return the columns of an impression that are neither key, time nor behaviour."""
    return [c for c in config.source.events.columns if c not in ("user_id", "item_id", "event_time")]


def event_columns(config: Config) -> list[str]:
    """Return the columns of `events` that an expression may read."""
    return ["user_id", "item_id", "event_time", *context_columns(config), *config.behaviours]


def input_sides(config: Config) -> dict[str, Entity]:
    """Return every column that a model may read -> the side of a (user, item) pair that it belongs to."""
    columns: dict[Entity, list[str]] = {
        "user": ["user_id", *feature_columns(config.features.user, "user"), "user_cohort"],
        "item": ["item_id", *feature_columns(config.features.item, "item"), "item_cohort"],
        "context": context_columns(config),
    }
    return {name: side for side, names in columns.items() for name in names}


def feature_columns(features: EntityFeatures, entity: EntityName) -> list[str]:
    """Return the columns of `user_features` or `item_features` after the key and the data date."""
    built_in = ("is_never_seen", "recency_days", "first_event_time_all", "last_data_date_all")
    measures: tuple[Aggregate | Rate, ...] = (*features.aggregates, *features.rates)
    measured = [f"{measure.name}_{window}" for measure in measures for window in measure.windows]
    return [*(f"{entity}_{name}" for name in (*built_in, *measured)), *features.attributes]
