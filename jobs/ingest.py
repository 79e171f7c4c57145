"""Take in source files: accepted events, entities, and a quarantine for every row that fails a rule.

spark-submit jobs/ingest.py --data-date 2022-05-07

Rows balance: read = accepted + duplicates + quarantined (conflicts among them), each counted in source
rows. Late rows go to the data date of their event; a row later than the horizon is quarantined.
Cost: one read of the dates' files, one shuffle of their events by event_id.
"""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.config_model import EntityName
from core.errors import BlockedError, LamplighterError
from core.schema import AttributeSource
from features.entities import to_entities
from features.events import to_events, with_verdict
from jobs.runtime.job import job
from jobs.runtime.run import Run
from jobs.runtime.steps import attributes_fingerprint
from jobs.tables.raw import read_attributes, read_log
from jobs.tables.sources import SourceFile
from quality.failing import failing_filters, with_failed_rules


@job
def ingest(run: Run) -> None:
    """Replace the data dates of `events` and `quarantine`; refresh `users` and `items`."""
    files = offered_files(run)
    for file in files:
        run.sources.check_log_file(file)

    rows = run.compute(to_events(read_log(run, files), run.config))
    register(run, files, rows)
    rows = rows.where(F.col("data_date").between(run.first, run.last))

    verdict = run.validate(rows, "events")
    judged = run.compute(with_verdict(with_failed_rules(rows, failing_filters(verdict)), run.config))
    balance(run, judged)

    replace_entities(run)
    run.replace("quarantine", to_quarantine(judged, run))
    accepted = judged.where(F.col("verdict") == "accepted")
    run.replace("events", accepted.select(*run.catalog["events"].columns))
    run.refresh_fingerprints()  # the manifest may know more of late rows by now


def offered_files(run: Run) -> list[SourceFile]:
    """Files that hold rows of our data dates.

    Raises:
        LamplighterError: a date has no file, and `--allow-empty` was not given.
    """
    files: dict[str, SourceFile] = {}
    for day in run.dates:
        own = run.sources.log_file(day)
        if own is None and not run.arguments.allow_empty:
            raise LamplighterError(_missing_file(run, day))
        files |= {file.path: file for file in run.sources.covering(day)}
    return list(files.values())


def register(run: Run, files: list[SourceFile], rows: DataFrame) -> None:
    """Write the manifest of what was offered: rows, first and last data date of each file.

    Raises:
        LamplighterError: a file is not what its name says: it has rows, and none is of its date.
    """
    found = {
        row["source_path"]: row
        for row in rows.groupBy("source_path")
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.min("data_date").alias("first"),
            F.max("data_date").alias("last"),
            F.min("event_date").alias("first_event"),
            F.max("event_date").alias("last_event"),
            F.count_if(F.col("event_date") == F.col("file_date")).alias("own"),
        )
        .collect()
    }
    for path, row in found.items():
        if not row["own"]:
            raise LamplighterError(
                f"{path}: not what its name says: its {row['rows']} rows are of {row['first_event']} .. "
                f"{row['last_event']}, none of the date in its name; rename or replace the file, then run "
                "again"
            )
    known = {(row["path"], row["sha256"]) for row in run.rows("source_files")}
    new = [
        {
            "path": file.path,
            "sha256": file.sha256,
            "file_date": file.file_date,
            "rows": found[file.path]["rows"] if file.path in found else 0,
            "first_data_date": found[file.path]["first"] if file.path in found else file.file_date,
            "last_data_date": found[file.path]["last"] if file.path in found else file.file_date,
        }
        for file in files
        if (file.path, file.sha256) not in known
    ]
    if new:
        run.append_rows("source_files", new)


def balance(run: Run, judged: DataFrame) -> None:
    """Count verdicts a data date into the ledger; stop at a date without accepted events.

    Raises:
        BlockedError: a date has none, and `--allow-empty` was not given.
    """
    counted = judged.groupBy("data_date").agg(
        F.count(F.lit(1)).alias("read"),
        *(
            F.count_if(F.col("verdict") == verdict).alias(verdict)
            for verdict in ("accepted", "duplicate", "conflict", "quarantined")
        ),
        F.count_if(F.col("file_date") > F.col("data_date")).alias("late"),
    )
    by_date = {row["data_date"]: row.asDict() for row in counted.collect()}
    run.entry.facts["balance"] = {
        str(day): {name: count for name, count in by_date[day].items() if name != "data_date"}
        for day in run.dates
        if day in by_date
    }
    empty = [day for day in run.dates if by_date.get(day, {}).get("accepted", 0) == 0]
    if empty and not run.arguments.allow_empty:
        span = str(empty[0]) if len(empty) == 1 else f"{empty[0]} .. {empty[-1]} ({len(empty)} dates)"
        raise BlockedError(
            f"events: no acceptable event of data date {span}; expected some; tables unchanged. If that is "
            "true, run again with --allow-empty: features are then as of this date, without new events"
        )


def replace_entities(run: Run) -> None:
    """Replace `users` and `items` by their undated snapshots, unless they are made of these files already."""
    sources: dict[EntityName, AttributeSource] = {
        "user": run.config.source.users,
        "item": run.config.source.items,
    }
    for entity, source in sources.items():
        table = f"{entity}s"
        file = run.sources.attribute_file(source)
        run.sources.check_attribute_file(file, source)
        id_type = run.config.source.events.columns[f"{entity}_id"].type
        made_of = attributes_fingerprint(run.config, file.sha256)
        if not run.is_made_of(table, made_of):
            entities = run.compute(to_entities(read_attributes(run, file), source, entity, id_type))
            run.replace(table, entities, where="true", made_of=made_of)


def to_quarantine(judged: DataFrame, run: Run) -> DataFrame:
    """Rows that failed a rule, as received, with all rules that they failed."""
    return judged.where(F.size("failed_rules") > 0).select(
        "source_row_id",
        "source_path",
        "raw_row",
        "failed_rules",
        F.lit(run.run_id).alias("first_run_id"),
        F.lit(run.run_id).alias("last_run_id"),
        F.lit(None).cast("string").alias("readmitted_by"),
        "data_date",
    )


def _missing_file(run: Run, day: date) -> str:
    path = run.config.source.events.path.format(data_date=day)
    last = run.sources.last_log_date()
    if last is None:
        root = run.sources.root.name
        return f"{path}: source file is missing, and so is every other; expected the log under {root}/"
    if day > last:
        return (
            f"{path}: data date {day} is after the last file, of {last}; wait for the file, or run with "
            "--allow-empty to go on without new events"
        )
    return f"{path}: source file is missing (the last is of {last}); deliver it, then run again"


if __name__ == "__main__":
    ingest.main()
