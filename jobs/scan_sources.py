"""Look at the log files that the source offers for each data date, and record which dates they hold rows of.

spark-submit jobs/scan_sources.py --data-date 2022-05-07

A file may bring late rows of earlier data dates. The manifest `source_files` says so, and from it follows
which data dates `ingest` has to read the file for.
Cost: one read of the event times of the dates' files.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from itertools import groupby

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.errors import LamplighterError
from features.actions import to_actions
from features.events import to_events
from jobs.runtime.job import RANGE, job
from jobs.runtime.reads import source_files
from jobs.runtime.run import Run
from jobs.tables.log_files import LogFiles
from jobs.tables.raw import read_log
from jobs.tables.source_files import SourceFile


@job(
    reads=(source_files("own"),),
    writes=("source_file_dates", "source_files"),
    config=("source.time_zone", "source.events", "source.actions", "behaviours"),
    dates=RANGE,
    flags=("allow_empty",),
)
def scan_sources(run: Run) -> None:
    """Record the dates of new files in `source_file_dates`, then the files in the manifest `source_files`."""
    sources = run.sources("own")
    new, counts = new_files(run, sources.log), list[FileDate]()
    if new:
        raw = read_log(run.spark, run.config.source.events, new, sources.log.columns)
        counts += count_dates(to_events(raw, run.config))
    for name, source in run.config.source.actions.items():
        log = sources.actions[name]
        if of_actions := new_files(run, log):
            raw = read_log(run.spark, source, of_actions, log.columns)
            counts += count_dates(
                to_actions(raw, name, run.config).withColumn("event_date", F.col("action_date"))
            )
            new += of_actions
    if new:
        run.commit_rows("source_file_dates", [asdict(count) for count in counts], path={f.path for f in new})
        run.append_rows("source_files", [to_manifest_row(file, counts) for file in new])


def new_files(run: Run, log: LogFiles) -> list[SourceFile]:
    """Return the files of the data dates that the manifest does not have."""
    files = [file for day in run.dates for file in log.require(day, run.allow_empty)]
    return [file for file in files if not run.is_written("source_files", path=file.path, sha256=file.sha256)]


@dataclass(frozen=True)
class FileDate:
    """A row of `source_file_dates`: how many rows of a data date a file holds."""

    path: str
    file_date: date
    data_date: date
    rows: int


def count_dates(rows: DataFrame) -> list[FileDate]:
    """Count the rows of each file by data date.

    Raises:
        LamplighterError: a file has rows, and none is of the date in its name.
    """
    found = (
        rows.groupBy("source_path", "file_date", "data_date")
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.min("event_date").alias("first_event"),
            F.max("event_date").alias("last_event"),
            F.count_if(F.col("event_date") == F.col("file_date")).alias("own"),
        )
        .collect()
    )
    for path, of_file in groupby(sorted(found, key=lambda row: row["source_path"]), lambda row: row[0]):
        dates = list(of_file)
        events = [row[name] for row in dates for name in ("first_event", "last_event") if row[name]]
        if not any(row["own"] for row in dates):
            raise LamplighterError(
                f"{path}: not what its name says: its {sum(row['rows'] for row in dates)} rows are of "
                f"{min(events, default=None)} .. {max(events, default=None)}, none of the date in its name; "
                "rename or replace the file, then run again"
            )
    return [FileDate(row["source_path"], row["file_date"], row["data_date"], row["rows"]) for row in found]


def to_manifest_row(file: SourceFile, counts: Sequence[FileDate]) -> dict[str, object]:
    """Return the row of `source_files` of a file; a file without rows is of its own date."""
    own = [count for count in counts if count.path == file.path]
    dates = [count.data_date for count in own]
    return {
        "path": file.path,
        "sha256": file.sha256,
        "file_date": file.file_date,
        "rows": sum(count.rows for count in own),
        "first_data_date": min(dates, default=file.file_date),
        "last_data_date": max(dates, default=file.file_date),
    }


if __name__ == "__main__":
    scan_sources.main()
