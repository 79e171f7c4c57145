"""Refresh `users` and `items` from what is offered: an undated snapshot, full snapshots, or changes."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.config_model import ENTITIES, EntityName
from core.errors import LamplighterError
from core.source import Day
from features.casts import read_day, read_mapping
from features.entities import to_described, to_entities
from features.validity import to_versions, with_snapshots
from jobs.runtime.run import Run
from jobs.tables.attribute_files import AttributeFiles, hash_of_files
from jobs.tables.raw import read_attributes
from jobs.tables.source_files import SourceFile

NAMED = 16  # digits of a hash that a commit records


def refresh_entities(run: Run) -> None:
    """Bring `users` and `items` up to what is offered, each in at most one commit.

    A table does not depend on the order in which files arrived, nor on the data dates of the runs that read
    them. Files of dates after the data date are read only if an earlier run has read files of that date.

    Without a source a table is empty: users and items are then those that events name.
    """
    sources = run.sources("attributes")
    for entity in ENTITIES:
        source, offered = run.config.source.of(entity), sources.attributes_of(entity)
        if source is None or offered is None or source.snapshot_date == "undated":
            _replace_undated(run, entity, offered)
        elif source.changed_at is not None:
            _merge_changes(run, entity, offered)
        else:
            _merge_snapshots(run, entity, offered)


def _replace_undated(run: Run, entity: EntityName, offered: AttributeFiles | None) -> None:
    """Replace a table by its undated snapshot, unless it is made of these files already."""
    table = f"{entity}s"
    files = [] if offered is None else offered.checked(offered.all_files())
    made_of = ",".join(file.sha256 for file in files)
    if run.is_made_of(table, made_of):
        return
    if offered is None:
        entities = run.spark.createDataFrame([], run.catalog[table].schema)
    else:
        raw = read_attributes(run.spark, offered.source, files, offered.columns())
        entities = to_entities(raw, offered.source, entity, *_ids_and_zone(run, entity))
    run.commit(table, entities, made_of=made_of)


# --- full snapshots -----------------------------------------------------------------------------


def _merge_snapshots(run: Run, entity: EntityName, offered: AttributeFiles) -> None:
    """Take in the snapshots that are new, have changed, or come before one that was withdrawn.

    Snapshots older than all that are offered are archived: what was read from them stays.
    Cost: see `with_snapshots`; each offered file is read once more for its hash.
    """
    table = f"{entity}s"
    content, is_same_recipe = run.content_of(table)
    known = _parsed(content)
    if offered.is_by_date:
        last = max([run.data_date, *known])
        files = {day: offered.files_of(day) for day in offered.dates() if day <= last}
        hashes = {day: hash_of_files(of_day)[:NAMED] for day, of_day in files.items()}
        rows = None
        newest = max((day for day in files if day <= run.data_date), default=None)
        if newest != run.data_date:
            run.note(f"no snapshot of {table} of {run.data_date}, the newest is of {newest}")
    else:
        whole = hash_of_files(offered.all_files())[:NAMED]
        if known and is_same_recipe and known[max(known)] == whole:
            return
        rows = _snapshots(run, entity, offered, offered.all_files())
        hashes = {row["valid_from"]: whole for row in rows.select("valid_from").distinct().collect()}
    to_read = {day for day, sha256 in hashes.items() if not is_same_recipe or known.get(day) != sha256}
    archived = {day: sha256 for day, sha256 in known.items() if hashes and day < min(hashes)}
    for withdrawn in known.keys() - hashes.keys() - archived.keys():
        to_read |= {max((day for day in hashes if day < withdrawn), default=withdrawn)} & hashes.keys()
    if not to_read:
        return
    if rows is None:
        rows = _snapshots(run, entity, offered, [file for day in sorted(to_read) for file in files[day]])
    in_force = sorted(archived | hashes)
    spans = {day: next_ for day, next_ in zip(in_force, [*in_force[1:], None], strict=True) if day in to_read}
    versions = run.read(table) if content else run.spark.createDataFrame([], run.catalog[table].schema)
    merged = with_snapshots(versions, rows, spans, f"{entity}_id")
    made_of = ",".join(f"{day}={sha256}" for day, sha256 in sorted((archived | hashes).items()))
    run.merge(table, merged, made_of)


def _snapshots(run: Run, entity: EntityName, offered: AttributeFiles, files: list[SourceFile]) -> DataFrame:
    """Return the rows of full snapshots, with the date of each in valid_from."""
    source = offered.source
    raw = read_attributes(run.spark, source, files, offered.columns())
    id_type, time_zone = _ids_and_zone(run, entity)
    day = source.snapshot_date
    valid_from = read_day(day, raw, time_zone) if isinstance(day, Day) else F.col("file_date")
    rows = to_described(raw, source, entity, id_type, valid_from=valid_from)
    return _with_dates(rows, run, offered, "snapshot_date")


def _parsed(content: str) -> dict[date, str]:
    """Return date of a snapshot -> hash of its content, as `made_of` holds them."""
    pairs = (each.partition("=") for each in content.split(",") if "=" in each)
    return {date.fromisoformat(day): sha256 for day, _, sha256 in pairs}


# --- changes ------------------------------------------------------------------------------------


def _merge_changes(run: Run, entity: EntityName, offered: AttributeFiles) -> None:
    """Make the versions that follow from all changes, unless the table is made of these files already.

    Where files are of dates, a change counts from the date of its file at the earliest, so that a later file
    never changes what was known before it. Cost: linear in all changes.
    """
    table = f"{entity}s"
    content, is_same_recipe = run.content_of(table)
    if offered.is_by_date:
        last = max([run.data_date, *_parsed(content)])
        dates = [day for day in offered.dates() if day <= last]
        files = [file for day in dates for file in offered.files_of(day)]
        made_of = f"{max(dates, default=run.first)}={hash_of_files(files)[:NAMED]}"
    else:
        files = offered.all_files()
        made_of = hash_of_files(files)[:NAMED]
    if not files or (is_same_recipe and content == made_of):
        return
    source, (id_type, time_zone) = offered.source, _ids_and_zone(run, entity)
    raw = read_attributes(run.spark, source, files, offered.columns())
    assert source.changed_at is not None
    day, changed_at = read_day(source.changed_at, raw, time_zone), read_mapping(source.changed_at, raw)
    valid_from = F.greatest(day, F.col("file_date")) if offered.is_by_date else day
    valid_from = F.when(day.isNotNull(), valid_from)
    changes = to_described(raw, source, entity, id_type, valid_from=valid_from, changed_at=changed_at)
    run.merge(table, to_versions(_with_dates(changes, run, offered, "changed_at"), f"{entity}_id"), made_of)


def _with_dates(rows: DataFrame, run: Run, offered: AttributeFiles, what: str) -> DataFrame:
    """Compute rows; stop at one without a date.

    Raises:
        LamplighterError: some have none, so nobody can tell from when on they are valid.
    """
    rows = run.compute(rows)
    if undated := rows.where(F.col("valid_from").isNull()).count():
        raise LamplighterError(
            f"{offered.source.path}: {undated} rows have no readable {what}; expected a date in each, "
            "since a row is valid from then; correct them, or the expression in conf/datasets, then run again"
        )
    return rows


def _ids_and_zone(run: Run, entity: EntityName) -> tuple[str, str]:
    """Return the type of an entity's id, and the time zone in which days begin."""
    source = run.config.source
    return source.events.columns[f"{entity}_id"].type, source.time_zone
