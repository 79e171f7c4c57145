"""Tables of users and of items: attributes, tiles, features, cohorts."""

from core.config_model import EntityName
from core.schema import Config
from jobs.tables.declarations.entry import key_types
from jobs.tables.declarations.groups import attribute_types, group_tables
from jobs.tables.table import DATE, INT, STRING, Table


def entity_tables(config: Config, entity: EntityName) -> list[Table]:
    """Return attributes, tiles, features and cohorts of users or items."""
    id_column = {f"{entity}_id": key_types(config)[entity]}
    return [
        Table(
            f"{entity}s",
            (f"{entity}_id", "valid_from"),
            id_column | {"valid_from": DATE, "valid_to": DATE} | attribute_types(config, entity),
            partition=(),
            constraints=("valid_to IS NULL OR valid_from < valid_to",),
            holds=f"attributes of {entity}s, with the dates between which they are valid",
            is_large=True,
            date_column=None,
        ),
        *group_tables(config, entity),
        Table(
            f"{entity}_cohorts",
            (f"{entity}_id", "data_date"),
            id_column | {"data_date": DATE, "cohort": STRING, "rule_version": INT},
            constraints=("cohort IS NOT NULL",),
            has_suite=True,
            holds=f"cohort as of the data date; one row for every known {entity}",
            is_large=True,
        ),
    ]
