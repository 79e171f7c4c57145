"""Rows in files of people's own, outside of the warehouse: Parquet, or CSV with a header line."""

import csv
import gzip
import secrets
import shutil
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from core.errors import ConfigError, LamplighterError
from jobs.tables.raw import escaped

EXPECTED = "expected .parquet, .csv or .csv.gz"
CSV: dict[str, str | bool] = {
    "header": True,
    "quote": '"',
    "escape": '"',  # RFC 4180, as pandas and spreadsheets write it
    "ignoreLeadingWhiteSpace": False,
    "ignoreTrailingWhiteSpace": False,
}
TIME = "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"


def read_rows(spark: SparkSession, path: Path) -> DataFrame:
    """Return the rows of a file, by its extension; columns of a CSV file are text, an empty field is null.

    Raises:
        ConfigError: there is no such file, its extension is another, or a CSV file has no header line.
    """
    if not path.exists() or (path.is_dir() and _is_csv(path)):
        raise ConfigError(f"{path}: there is no such file")
    name = escaped(path)
    if not _is_csv(path):
        return spark.read.parquet(name)
    schema = T.StructType([T.StructField(column, T.StringType()) for column in _header(path)])
    # FAILFAST: a line with more or fewer fields ends the command. nullValue: with its default an empty text
    # in quotes would be null, too.
    reader = spark.read.options(multiLine=True, mode="FAILFAST", nullValue="\0", **CSV)
    return reader.schema(schema).csv(name)


def require_writable(path: Path) -> None:
    """Refuse a path to which `write_rows` could not write, before anything is computed.

    Raises:
        ConfigError: its extension is another, its folder does not exist, or it is a folder itself.
    """
    _is_csv(path)
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise ConfigError(f"{path}: it is a folder; expected a file to write")


def write_rows(frame: DataFrame, path: Path) -> None:
    """Write rows to one file, by its extension; a file that is there is replaced when all is written.

    Times in CSV are UTC with six decimals. Cost: one task writes; larger results are written with Spark, from
    the Python API.

    Raises:
        ConfigError: as `require_writable`, or a column is a list or a map and the file is CSV.
    """
    require_writable(path)
    folder = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    writer = frame.repartition(1).write
    try:
        if _is_csv(path):
            _require_flat(frame, path)
            compression = "gzip" if path.suffix == ".gz" else "none"
            writer.options(timestampFormat=TIME, emptyValue='""', compression=compression, **CSV).csv(
                str(folder)
            )
        else:
            writer.parquet(str(folder))
        parts = list(folder.glob("part-*"))
        if len(parts) != 1:
            raise LamplighterError(f"{path}: Spark wrote {len(parts)} files in {folder}; expected one")
        parts[0].replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _header(path: Path) -> list[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            names = next(csv.reader(file), [])
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: its first line is no UTF-8; expected names of columns") from error
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"{path}: its first line is {names}; expected names of columns, each once")
    return names


def _is_csv(path: Path) -> bool:
    if path.name.endswith((".csv", ".csv.gz")):
        return True
    if path.suffix == ".parquet":
        return False
    raise ConfigError(f"{path}: its extension is {path.suffix or 'missing'}; {EXPECTED}")


def _require_flat(frame: DataFrame, path: Path) -> None:
    nested = (T.ArrayType, T.MapType, T.StructType)
    names = [field.name for field in frame.schema.fields if isinstance(field.dataType, nested)]
    if names:
        raise ConfigError(
            f"{path}: columns {', '.join(names)} hold lists or maps, which CSV does not; write .parquet"
        )
