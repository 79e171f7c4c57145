"""Which data dates a log file holds rows of: counted in its rows, and as a row of the manifest."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.errors import LamplighterError
from core.schema import Config
from features.actions import to_actions
from features.events import to_events
from jobs.tables.log_files import LogFiles
from jobs.tables.raw import read_log
from jobs.tables.source_files import SourceFile


@dataclass(frozen=True)
class FileDate:
    """A row of `source_file_dates`: how many rows of a data date a file holds."""

    path: str
    file_date: date
    data_date: date
    rows: int


def rows_with_dates(
    spark: SparkSession, log: LogFiles, files: list[SourceFile], action: str | None, config: Config
) -> DataFrame:
    """Return the rows of files of one log with their data date, and in event_date that of event or action.

    Args:
        spark: the session.
        log: of impressions, or of actions.
        files: of it.
        action: name of the log in `source.actions`; None: it is that of impressions.
        config: its source and behaviours.
    """
    raw = read_log(spark, log.source, files, log.columns)
    if action is None:
        return to_events(raw, config)
    return to_actions(raw, action, config).withColumn("event_date", F.col("action_date"))


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
