"""The tables of one data set: their declarations, and where they are.

Code names tables, never paths. Columns that depend on a data set (behaviours, features, tasks) come
from its configuration.
"""

import os
import re
from pathlib import Path

from core.errors import ConfigError
from core.paths import Place, join, place, resolve_uri
from core.schema import Config
from jobs.tables.declarations.entities import entity_tables
from jobs.tables.declarations.entry import entry_tables
from jobs.tables.declarations.evaluation import evaluation_tables
from jobs.tables.declarations.groups import group_tables
from jobs.tables.declarations.profiles import profile_tables
from jobs.tables.declarations.records import record_tables
from jobs.tables.declarations.serving import serving_tables
from jobs.tables.declarations.training import training_tables
from jobs.tables.table import STRING, Table


class Catalog:
    """The tables of one data set under one warehouse.

    Attributes:
        dataset: name of the data set.
        root: URI of the folder that holds its tables.
        tables: name -> declaration.
    """

    def __init__(self, config: Config, project: Path) -> None:
        self.dataset = config.dataset
        self.root = join(resolve_uri(config.paths.warehouse, project, "paths.warehouse"), config.dataset)
        self.tables = {table.name: table for table in declared_tables(config)}

    def __getitem__(self, name: str) -> Table:
        return self.tables[name]

    def uri(self, name: str) -> str:
        """Return the URI of a table's folder."""
        return join(self.root, self.tables[name].name)

    def path(self, name: str) -> Place:
        """Return the folder of a table."""
        return place(self.uri(name))

    @property
    def models(self) -> Place:
        """The folder of the model bundles."""
        return place(self.root) / "_models"

    def bundle(self, model_version: str) -> Place:
        """Return the folder of a model bundle."""
        return self.models / model_version

    def input_types(self) -> dict[str, str]:
        """Return column -> type of what a model may read: features, cohorts, and the context."""
        features = [name for name in self.tables if name.endswith("_features")]
        columns = [column for table in ("events", *features) for column in self.tables[table].columns.items()]
        cohorts = [("user_cohort", STRING), ("item_cohort", STRING)]
        return {name: kind.simpleString() for name, kind in [*columns, *cohorts]}

    @property
    def registry(self) -> str:
        """URI of MLflow's database: beside the bundles on this machine, else what MLFLOW_TRACKING_URI names.

        Raises:
            ConfigError: the warehouse is not on this machine, and no database is named.
        """
        models = self.models
        if isinstance(models, Path):
            return f"sqlite:///{models / 'registry.db'}"
        if named := os.environ.get("MLFLOW_TRACKING_URI"):
            # SQLAlchemy would take a driver that is not installed here.
            return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", named)
        raise ConfigError(
            f"model registry: {self.root} holds no SQLite database; expected MLflow's server or database "
            "in MLFLOW_TRACKING_URI; set it, such as to postgresql://user@host/mlflow, then run again"
        )


def declared_tables(config: Config) -> list[Table]:
    """Return the declarations of all tables, in the order of the night."""
    return [
        *entry_tables(config),
        *entity_tables(config, "user"),
        *entity_tables(config, "item"),
        *(table for group in config.features.keyed for table in group_tables(config, group)),
        *profile_tables(),
        *training_tables(config),
        *evaluation_tables(),
        *serving_tables(config),
        *record_tables(),
    ]
