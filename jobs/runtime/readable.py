"""What has to be there before anything runs: tables that fit the configuration, and source files."""

from collections.abc import Mapping

from core.errors import ConfigError
from jobs.runtime.pipeline import all_jobs, data_steps
from jobs.runtime.project import Project
from jobs.tables.checks import SchemaDifference


def require_readable(project: Project) -> None:
    """Stop where existing tables contradict the configuration, or lack what it declares.

    A backfill adds what is lacking (`fills_in`), and nothing else does.

    Raises:
        ConfigError: naming tables, columns and the command that adds them; before Spark starts.
    """
    differences = schema_differences(project)
    faults = [f"{table}: {text}" for table, found in differences.items() for text in found.faults]
    if faults:
        raise ConfigError(
            f"{'; '.join(faults)}; a column keeps its type: restore the declaration, give the column another "
            "name, or start a warehouse of its own (--set paths.warehouse=...)"
        )
    added = added_columns(project, differences)
    if added and not project.arguments.fills_in:
        texts = [f"{table}: {what}" for table, what in added.items()]
        built = [day for table in ("events", "user_features") for day in project.store.data_dates(table)]
        first = min(built, default=project.arguments.first)
        raise ConfigError(
            f"{'; '.join(texts)}; fill in with `lamplighter backfill --from {first}`, or from a later data "
            "date, before which it stays null; or restore the declaration"
        )


def schema_differences(project: Project) -> dict[str, SchemaDifference]:
    """Return how the existing tables that Spark writes differ from their declarations."""
    large = [name for name, table in project.catalog.tables.items() if table.is_large]
    return {table: project.store.schema_difference(table) for table in large}


def added_columns(project: Project, differences: Mapping[str, SchemaDifference]) -> dict[str, str]:
    """Return table -> what is declared of it and not there yet, in words; of tables that backfills make.

    Other tables, such as `scores`, gain a column with the next night, which is the first that can fill it.

    Args:
        project: whose tables.
        differences: of all of them.
    """
    store, features = project.store, project.config.features
    made = {table for name in data_steps() for table in all_jobs()[name].tables(project.config)}
    found = {
        table: ", ".join(f"column {name} ({kind.simpleString()})" for name, kind in difference.new.items())
        + " is declared but not in the table"
        for table, difference in differences.items()
        if difference.new and table in made
    }
    new_groups = [name for name in features.keyed if store.version(f"{name}_features") is None]
    is_begun = bool(new_groups) and store.version("user_features") is not None
    no_table = "the group is declared but has no table"
    return found | {f"{name}_features": no_table for name in new_groups if is_begun}


def require_sources(project: Project) -> None:
    """Stop where a source file of the project's data dates, or a column in it, is missing.

    Raises:
        LamplighterError: naming the file and the columns; before Spark starts.
    """
    for attributes in project.sources.attributes():
        attributes.require(max(project.dates))
    for day in project.dates:
        project.sources.require_log_files(day, project.arguments.allow_empty)
