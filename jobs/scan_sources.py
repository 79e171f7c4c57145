"""Look at the log files that the source offers for each data date, and record which dates they hold rows of.

spark-submit jobs/scan_sources.py --data-date 2022-05-07

A file may bring late rows of earlier data dates. The manifest `source_files` says so, and from it follows
which data dates `ingest` has to read the file for.
Cost: one read of the event times of the dates' files.
"""

from pyspark.sql import functions as F

from core.errors import LamplighterError
from features.events import to_events
from jobs.runtime.job import RANGE, job
from jobs.runtime.reads import source_files
from jobs.runtime.run import Run
from jobs.tables.raw import read_log
from jobs.tables.source_files import SourceFile


@job(
    reads=(source_files("own"),),
    writes=("source_files",),
    config=("source.time_zone", "source.events", "behaviours"),
    dates=RANGE,
    flags=("allow_empty",),
)
def scan_sources(run: Run) -> None:
    """Append files to the manifest `source_files`: rows, first and last data date of each."""
    sources = run.project.sources
    allow_empty = run.project.arguments.allow_empty
    files = [file for day in run.dates for file in sources.require_log_files(day, allow_empty)]
    new = [file for file in files if not run.is_written("source_files", path=file.path, sha256=file.sha256)]
    if new:
        run.append_rows("source_files", to_manifest(run, new))


def to_manifest(run: Run, files: list[SourceFile]) -> list[dict[str, object]]:
    """Return one row per file.

    Raises:
        LamplighterError: a file has rows, and none is of the date in its name.
    """
    raw = read_log(run.spark, run.project.sources, run.config.source.events, files)
    rows = to_events(raw, run.config)
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
    return [
        {
            "path": file.path,
            "sha256": file.sha256,
            "file_date": file.file_date,
            "rows": found[file.path]["rows"] if file.path in found else 0,
            "first_data_date": found[file.path]["first"] if file.path in found else file.file_date,
            "last_data_date": found[file.path]["last"] if file.path in found else file.file_date,
        }
        for file in files
    ]


if __name__ == "__main__":
    scan_sources.main()
