"""Read source files as they were received, with the provenance of every row."""

from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jobs.tables.sources import SourceFile, Sources


def read_log(spark: SparkSession, sources: Sources, files: list[SourceFile]) -> DataFrame:
    """Return rows of log files with source_path, source_sha256, file_date and row_index.

    Files of one schema are read together; a column that only some have is null in the others.
    Cost: one scan.
    """
    by_schema: dict[str, list[SourceFile]] = {}
    for file in files:
        by_schema.setdefault(str(sources.check_log_file(file)), []).append(file)
    if not files:
        return spark.createDataFrame([], _declared_schema(sources))
    frames = [_read_alike(spark, alike) for alike in by_schema.values()]
    return reduce(lambda left, right: left.unionByName(right, allowMissingColumns=True), frames)


def read_attributes(spark: SparkSession, file: SourceFile) -> DataFrame:
    """Return the rows of one attribute file."""
    return spark.read.parquet(str(file.full_path))


def _read_alike(spark: SparkSession, files: list[SourceFile]) -> DataFrame:
    rows = spark.read.parquet(*(str(file.full_path) for file in files))
    provenance = spark.createDataFrame(
        [(file.full_path.name, file.path, file.sha256, file.file_date) for file in files],
        "file_name string, source_path string, source_sha256 string, file_date date",
    )
    located = rows.select(
        "*", F.col("_metadata.file_name").alias("file_name"), F.col("_metadata.row_index").alias("row_index")
    )
    return located.join(F.broadcast(provenance), on="file_name", how="inner").drop("file_name")


def _declared_schema(sources: Sources) -> T.StructType:
    """The schema of no file at all: the columns that the mapping reads."""
    fields = [T.StructField(name, T.LongType()) for name in sorted(sources.log_columns())]
    provenance = [
        T.StructField("source_path", T.StringType()),
        T.StructField("source_sha256", T.StringType()),
        T.StructField("file_date", T.DateType()),
        T.StructField("row_index", T.LongType()),
    ]
    return T.StructType([*fields, *provenance])
