"""Rows of source files as they came: where each is from, its whole content, and an id of its own values."""

from functools import reduce
from operator import and_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

PROVENANCE = ("source_path", "source_sha256", "file_date", "row_index")


def as_received(raw: DataFrame) -> list[Column]:
    """Return source_row_id ("<sha256 of the file>:<position in it>"), source_path, file_date, raw_row (JSON).

    Args:
        raw: the source's columns, and those of `PROVENANCE`.
    """
    received = [name for name in raw.columns if name not in PROVENANCE]
    return [
        F.concat_ws(":", F.col("source_sha256"), F.col("row_index").cast("string")).alias("source_row_id"),
        F.col("source_path"),
        F.col("file_date"),
        F.to_json(F.struct(*received), {"ignoreNullFields": "false"}).alias("raw_row"),
    ]


def id_of(columns: tuple[str, ...], raw: DataFrame) -> Column:
    """Join the values of source columns by ":"; null when one of them is null or empty.

    A ":" within a value gets a backslash before it, so that other values never make the same id.
    """
    texts = [F.nullif(F.col(name).cast("string"), F.lit("")) for name in columns]
    is_whole = reduce(and_, (text.isNotNull() for text in texts))
    is_text = [isinstance(raw.schema[name].dataType, StringType) for name in columns]
    parts = [
        F.regexp_replace(text, r"([\\:])", r"\\$1") if escaped else text
        for text, escaped in zip(texts, is_text, strict=True)
    ]
    return F.when(is_whole, F.concat_ws(":", *parts))
