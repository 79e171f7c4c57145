"""Read source files as they were received, with the provenance of every row."""

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from core.errors import LamplighterError
from core.paths import Place, name_of
from core.source import IN_TABLES, FileSource, LogSource
from jobs.tables.source_files import SourceFile, check_columns, csv_header, has_header

CORRUPT = "_corrupt_record"
"""Column of a line that is no CSV or JSON of the expected shape: the line as it was received."""


def read_log(
    spark: SparkSession, source: LogSource, files: list[SourceFile], needed: Iterable[str]
) -> DataFrame:
    """Return rows of log files with source_path, source_sha256, file_date and row_index.

    Files of one schema are read together; a column that only some have is null in the others. row_index is
    the position in the file. Columns of text files are strings.
    Cost: one scan; of CSV, JSON and ORC one shuffle by file to number the rows.

    Args:
        spark: the session.
        source: how the files are read.
        files: the files.
        needed: columns that are null where no file has them.

    Raises:
        LamplighterError: a Delta table has rows without a date.
    """
    if not files:
        return spark.createDataFrame([], _declared_schema(needed))
    if source.format in IN_TABLES:
        rows = _read_table(spark, files, source)
    else:
        rows = _united(_read_files(spark, alike, source) for alike in _by_columns(files, source))
    return _with_columns(rows, needed)


def read_readmissions(spark: SparkSession, rows: Iterable[Mapping[str, Any]]) -> DataFrame:
    """Return rows of the table `readmissions` as `with_readmissions` takes them: a map per source_sha256."""
    by_file: dict[str, dict[str, str]] = {}
    for row in rows:
        by_file.setdefault(row["source_sha256"], {})[row["selected"]] = row["run_id"]
    return spark.createDataFrame([*by_file.items()], "source_sha256 string, readmissions map<string,string>")


def read_attributes(
    spark: SparkSession, source: FileSource, files: list[SourceFile], needed: Iterable[str]
) -> DataFrame:
    """Return the rows of attribute files, with `file_date` where files are of dates.

    A needed column that a JSON file lacks is null. Cost: one scan.
    """
    if source.format in IN_TABLES:
        rows = _table(spark, files[0])
        if files[0].file_date is not None:
            day = F.col(str(source.day_column)).try_cast("date")
            rows = rows.where(day.isin([file.file_date for file in files])).withColumn("file_date", day)
    else:
        parts = _by_columns(files, source)
        rows = _united(_with_file_dates(spark, _read_all(spark, alike, source), alike) for alike in parts)
    return _with_columns(_with_nulls(rows, source), needed)


def _read_all(spark: SparkSession, files: list[SourceFile], source: FileSource) -> DataFrame:
    rows = _read(spark, [file.full_path for file in files], source)
    return rows.select(*rows.columns, F.col("_metadata.file_path").alias("_file"))


def _with_file_dates(spark: SparkSession, rows: DataFrame, files: list[SourceFile]) -> DataFrame:
    if files[0].file_date is None:
        return rows.drop("_file")
    dates = spark.createDataFrame(
        [(name_of(file.full_path), file.file_date) for file in files], "_path string, file_date date"
    )
    is_it = _path(F.col("_file")) == F.col("_path")
    return rows.join(F.broadcast(dates), on=is_it, how="inner").drop("_file", "_path")


def _by_columns(files: list[SourceFile], source: FileSource) -> list[list[SourceFile]]:
    """Return files with the same columns together."""
    alike: dict[tuple[str, ...], list[SourceFile]] = {}
    for file in files:
        alike.setdefault(check_columns(file, source, set()), []).append(file)
    return [*alike.values()]


def _united(frames: Iterable[DataFrame]) -> DataFrame:
    return reduce(lambda left, right: left.unionByName(right, allowMissingColumns=True), frames)


def _read_files(spark: SparkSession, files: list[SourceFile], source: FileSource) -> DataFrame:
    rows = _read(spark, [file.full_path for file in files], source)
    received = _with_nulls(rows, source).columns
    located = _with_nulls(rows, source).select(
        *received,
        F.col("_metadata.file_path").alias("_file"),
        *([F.col("_metadata.row_index").alias("row_index")] if source.format == "parquet" else _in_block()),
    )
    if source.format != "parquet":
        located = _numbered(located)
    provenance = spark.createDataFrame(
        [(name_of(file.full_path), file.path, file.sha256, file.file_date) for file in files],
        "_path string, source_path string, source_sha256 string, file_date date",
    )
    is_it = _path(F.col("_file")) == F.col("_path")
    return located.join(F.broadcast(provenance), on=is_it, how="inner").drop("_file", "_path")


def _read(spark: SparkSession, paths: list[Place], source: FileSource) -> DataFrame:
    """Read files of one shape; text stays text, and a broken line is kept in CORRUPT."""
    reader = spark.read.options(**source.options)
    names = [escaped(path) for path in paths]
    match source.format:
        case "csv":
            columns = [*csv_header(paths[0], source), CORRUPT]
            schema = T.StructType([T.StructField(name, T.StringType()) for name in columns])
            reader = reader.options(header=has_header(source), columnNameOfCorruptRecord=CORRUPT)
            return reader.schema(schema).csv(names)
        case "json":
            return reader.options(primitivesAsString=True, columnNameOfCorruptRecord=CORRUPT).json(names)
        case "orc":
            return reader.orc(names)
        case _:
            return reader.parquet(*names)


def _read_table(spark: SparkSession, files: list[SourceFile], source: LogSource) -> DataFrame:
    """Return the rows of a Delta table that are of some dates.

    Raises:
        LamplighterError: some rows have no readable date, so no night would read them.
    """
    table = _table(spark, files[0])
    day = F.col(str(source.day_column)).try_cast("date")
    if undated := table.where(day.isNull()).count():
        raise LamplighterError(
            f"{source.path}: {undated} rows have no readable date in {source.date_column}; expected one in "
            "each, since it says in which night a row is read; correct them, then run again"
        )
    rows = table.where(day.isin([file.file_date for file in files]))
    located = _with_nulls(rows, source).select(
        *table.columns,
        day.alias("file_date"),
        F.col("_metadata.file_path").alias("_file"),
        F.regexp_extract("_metadata.file_path", "[^/]+$", 0).alias("source_sha256"),  # unique in the table
        *_in_block(),
    )
    provenance = spark.createDataFrame(
        [(file.path, file.file_date) for file in files], "source_path string, file_date date"
    )
    return _numbered(located).drop("_file").join(F.broadcast(provenance), on="file_date", how="inner")


def _table(spark: SparkSession, file: SourceFile) -> DataFrame:
    return spark.read.format("delta").option("versionAsOf", file.version).load(name_of(file.full_path))


def _in_block() -> list[Column]:
    return [
        F.col("_metadata.file_block_start").alias("_block"),
        F.monotonically_increasing_id().alias("_order"),
    ]


def _numbered(rows: DataFrame) -> DataFrame:
    """Number the rows of each file from 0, in their order, however many tasks have read it."""
    place = Window.partitionBy("_file").orderBy("_block", "_order")
    row_index = (F.row_number().over(place) - 1).cast("bigint")
    return rows.withColumn("row_index", row_index).drop("_block", "_order")


def _with_nulls(rows: DataFrame, source: FileSource) -> DataFrame:
    """Make null of the texts that mean it."""
    if not source.nulls:
        return rows
    texts = [field.name for field in rows.schema.fields if isinstance(field.dataType, T.StringType)]
    return rows.withColumns(
        {name: F.when(~F.col(f"`{name}`").isin(*source.nulls), F.col(f"`{name}`")) for name in texts}
    )


def _with_columns(rows: DataFrame, needed: Iterable[str]) -> DataFrame:
    missing = sorted(set(needed) - set(rows.columns))
    return rows.withColumns({name: F.lit(None).cast("string") for name in missing}) if missing else rows


def _path(uri: Column) -> Column:
    """Return the path in a URI of Spark, in which + is a plain sign."""
    plain = F.regexp_replace(F.regexp_replace(uri, "^file:/+", "/"), r"\+", "%2B")
    return F.url_decode(plain)


def escaped(path: Place) -> str:
    """Return a path as Spark's readers take it, which would read *, ?, [ and { as a glob."""
    return "".join(f"\\{sign}" if sign in "*?[]{}\\" else sign for sign in name_of(path))


def _declared_schema(needed: Iterable[str]) -> T.StructType:
    """The schema of no file at all: the columns that the mapping reads."""
    fields = [T.StructField(name, T.LongType()) for name in sorted(needed)]
    provenance = [
        T.StructField("source_path", T.StringType()),
        T.StructField("source_sha256", T.StringType()),
        T.StructField("file_date", T.DateType()),
        T.StructField("row_index", T.LongType()),
    ]
    return T.StructType([*fields, *provenance])
