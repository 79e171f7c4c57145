"""A log in files without dates, written anew with a folder per data date."""

from datetime import date
from pathlib import Path
from typing import NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.errors import ConfigError
from core.source import FileSource, Mapping
from features.casts import read_mapping
from jobs.onboarding.key_guesses import TimeGuess, guess_time
from jobs.onboarding.new_project import Looked, look_at
from jobs.onboarding.source_yaml import time_mapping
from jobs.tables.raw import CORRUPT, read_attributes
from jobs.tables.source_files import SourceFile

DATE_COLUMN = "data_date"
MOST_ROWS = 5_000_000
"""Rows of one file that is written."""


class Split(NamedTuple):
    """What was written.

    Attributes:
        first: first data date.
        last: last data date.
        dates: number of dates with rows.
        rows: of all dates.
        undated: rows without a readable time; they are with those of the last date, whose ingest puts them
            in quarantine.
        time: the column that dates come from, and why.
    """

    first: date
    last: date
    dates: int
    rows: int
    undated: int
    time: str


def split_log(
    spark: SparkSession, files: str, folder: Path, time_zone: str, time_column: str | None = None
) -> Split:
    """Write the rows of a log as Parquet, in a folder `data_date=...` per date; texts stay as they are.

    Cost: the files are read twice, and shuffled once by date.

    Args:
        spark: the session.
        files: a file, a folder or a glob.
        folder: where to write; must not exist.
        time_zone: in which data dates begin.
        time_column: the column of the events' times; None: guessed as `init` does.

    Raises:
        ConfigError: the folder exists, the files have dates in their names, or no readable time.
    """
    if folder.exists():
        raise ConfigError(f"{folder} exists; expected a new folder: name another, or remove it")
    log = look_at(files, "FILES")
    if log.offered.by_date:
        raise ConfigError(
            f"{files}: the names spell dates ({log.offered.path}); nothing is to be split: use the files as "
            "they are"
        )
    time = _time(log, files, time_column)
    rows = _read(spark, log)
    if DATE_COLUMN in rows.columns:
        raise ConfigError(f"{files}: there is a column {DATE_COLUMN}, which names the folders; rename it")
    time_of_row = read_mapping(Mapping.model_validate(time_mapping(time)), rows)
    dated = rows.withColumn(DATE_COLUMN, F.to_date(F.from_utc_timestamp(time_of_row, time_zone)))
    broken = F.count(CORRUPT) if CORRUPT in rows.columns else F.lit(0)
    first, last, dates, total, undated, broken_lines = dated.agg(
        F.min(DATE_COLUMN),
        F.max(DATE_COLUMN),
        F.countDistinct(DATE_COLUMN),
        F.count(F.lit(1)),
        F.count_if(F.col(DATE_COLUMN).isNull()),
        broken,
    ).collect()[0]
    if last is None:
        raise ConfigError(
            f"{files}: {time.column.name} is no readable time in any row; expected {time.reason}"
        )
    whole = dated.withColumn(DATE_COLUMN, F.coalesce(DATE_COLUMN, F.lit(last)))
    if not broken_lines:
        whole = whole.drop(CORRUPT)
    writer = whole.repartition(DATE_COLUMN).write.option("maxRecordsPerFile", MOST_ROWS)
    writer.partitionBy(DATE_COLUMN).parquet(str(folder))
    return Split(first, last, dates, total, undated, f"{time.column.name}: {time.reason}")


def _time(log: Looked, files: str, column: str | None) -> TimeGuess:
    columns = [each for each in log.columns if column in (None, each.name)]
    if not columns:
        raise ConfigError(f"{files}: no column {column}; there are {[each.name for each in log.columns]}")
    if (time := guess_time(columns)) is None:
        raise ConfigError(
            f"{files}: no column looks like a time among {[each.name for each in columns]}; expected texts "
            "such as 2024-03-12T20:15:00, or seconds, milliseconds or microseconds since 1970, of years from "
            "2000 on, or from 1971 on if the column is called a time: name one by --time, or rename it"
        )
    return time


def _read(spark: SparkSession, log: Looked) -> DataFrame:
    source = FileSource(path=log.offered.path, format=log.form.name, options=dict(log.form.options))
    files = [SourceFile(file.name, file, "", None) for file in log.offered.files]
    return read_attributes(spark, source, files, ())
