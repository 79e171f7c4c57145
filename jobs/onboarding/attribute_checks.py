"""Checks of the files of users and items: their columns, and whether they know those of the events."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.config_model import EntityName
from core.errors import LamplighterError
from core.source import AttributeSource, Day
from features.entities import to_described
from jobs.onboarding.checking import Checks, identified, mapped
from jobs.runtime.project import Project
from jobs.tables.source_files import SourceFile
from quality.verdicts import percent

_A = {"user": "a user", "item": "an item"}
DAYS = ("snapshot_date", "changed_at", "valid_from")
MOST_ENTITIES = 1_000_000
"""Rows that are looked at."""


def check_attributes(checks: Checks, entity: EntityName, events: DataFrame | None) -> None:
    """Check the files of users or items, and whether they know those of the events."""
    source: AttributeSource | None = getattr(checks.config.source, f"{entity}s")
    if source is None:
        checks.found.notes.append(f"{entity}s: no file; they are those that events name")
        return
    where = f"source.{entity}s"
    try:
        files = _newest(checks.project, entity)
    except LamplighterError as error:
        checks.fault(f"{where}.path", str(error))
        return
    raw = checks.read(source, files, where)
    if raw is None:
        return
    raw = raw.limit(MOST_ENTITIES).localCheckpoint()
    id_type = checks.config.source.events.columns[f"{entity}_id"].type
    expressions = [
        identified(f"{where}.key", source.key, id_type),
        *(mapped(where, name, day) for name in DAYS if isinstance(day := getattr(source, name), Day)),
        *(mapped(f"{where}.columns", name, column) for name, column in source.columns.items()),
    ]
    if len(checks.evaluate(raw, expressions)) == len(expressions):
        _check_keys(checks, entity, to_described(raw, source, entity, id_type), raw.count(), events)


def _newest(project: Project, entity: EntityName) -> list[SourceFile]:
    """Return the files of an entity's attributes; of those with dates the newest."""
    offered = project.sources.attributes_of(entity)
    if offered is None:
        return []
    if not offered.is_by_date:
        return offered.all_files()
    offered.require(date.max)
    return offered.files_of(offered.dates()[-1])


def _check_keys(
    checks: Checks, entity: EntityName, known: DataFrame, rows: int, events: DataFrame | None
) -> None:
    key, where = f"{entity}_id", f"source.{entity}s"
    described, different = known.agg(F.count(F.lit(1)), F.countDistinct(key)).collect()[0]
    note = f"{entity}s: {rows:,} rows, {rows - described:,} without a readable key"
    if described > different:
        checks.fault(
            f"{where}.key", f"{described - different:,} of {rows:,} rows have the key of another row"
        )
    if events is None or not described:
        checks.found.notes.append(note)
        return
    matched = events.join(known.select(key).distinct(), on=key, how="left_semi").count()
    share = matched / max(1, events.count())
    checks.found.notes.append(f"{note}; {percent(share)} of the events are of {_A[entity]} in it")
    least = 1 - checks.config.audits.most_unknown_share
    if share < least and rows < MOST_ENTITIES:
        checks.fault(
            f"{where}.key",
            f"{percent(share)} of the events are of {_A[entity]} in this file, and a night asks for at "
            f"least {percent(least)}: compare the values of the key with those of events.columns.{key}",
        )
