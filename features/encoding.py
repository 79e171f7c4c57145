"""The encoder: fitted on training examples once, applied by one function wherever a model reads.

`pack` and `score` both select `encoded(...)`, so a value has one id everywhere.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from core.encoder import CategoricalEncoding, DenseEncoding, Encoder, Entity
from core.errors import LamplighterError
from core.inputs import CategoricalInput, DenseInput, Inputs
from features.bags import bag

_QUANTILES = 64
_SAMPLED_ROWS = 200_000

_SUMMARY_SCHEMA = "column string, value string, rows bigint, total double, squares double"
_SUMMARY_ARROW = pa.schema(
    [
        ("column", pa.string()),
        ("value", pa.string()),
        ("rows", pa.int64()),
        ("total", pa.float64()),
        ("squares", pa.float64()),
    ]
)


def fit_encoder(examples: DataFrame, inputs: Inputs, sides: Mapping[str, Entity]) -> Encoder:
    """Learn vocabularies and dense statistics from training examples, never from later ones.

    A vocabulary holds a table's values with at least `vocabulary_min_count` occurrences, most frequent
    first (ties by value), at most `vocabulary_max_size` of them.
    Cost: one pass over the input columns, a second one over a sample where there are quantiles; what
    comes to the driver is bounded by the vocabularies' size.

    Args:
        examples: the training days only, grain event_id.
        inputs: the model's inputs.
        sides: column -> whose it is; `core.columns.input_sides` of the configuration.
    """
    vocabularies: dict[str, list[str]] = {c.table_name: [] for c in inputs.categorical}
    moments: dict[str, tuple[float, float]] = {d.column: (0.0, 1.0) for d in inputs.dense}
    rows = 0
    for row in _to_summary(examples, inputs).collect():
        if row["value"] is None:
            moments[row["column"]] = _mean_and_std(row["rows"], row["total"], row["squares"])
            rows = max(rows, row["rows"])
        else:
            vocabularies[row["column"]].append(row["value"])
    by_quantile = [d.column for d in inputs.dense if d.transform == "quantile"]
    curves = _quantiles(examples, by_quantile, rows)
    return Encoder(
        categorical=tuple(
            _to_categorical(c, sides[c.column], vocabularies[c.table_name]) for c in inputs.categorical
        ),
        dense=tuple(
            DenseEncoding(column=d.column, side=sides[d.column], transform=d.transform, mean=mean, std=std)
            if d.column not in curves
            else DenseEncoding(
                column=d.column,
                side=sides[d.column],
                transform=d.transform,
                mean=0.5,  # of shares between 0 and 1, as they are spread where no value is frequent
                std=_rounded(math.sqrt(1 / 12)),
                quantiles=curves[d.column][0],
                levels=curves[d.column][1],
            )
            for d in inputs.dense
            for mean, std in [moments[d.column]]
        ),
    )


def _to_categorical(c: CategoricalInput, side: Entity, vocabulary: Sequence[str]) -> CategoricalEncoding:
    return CategoricalEncoding(
        column=c.column,
        side=side,
        kind="hash" if c.hash_size else "vocabulary",
        size=c.hash_size or 1 + len(vocabulary),
        dim=c.dim,
        vocabulary=() if c.hash_size else tuple(vocabulary),
        split=c.split,
        max_values=c.max_values,
        table=c.table,
    )


def encoded(rows: DataFrame, encoder: Encoder) -> list[Column]:
    """Return columns `cat_<column>` (int, 0 = missing or unseen) and `dense_<column>` (float, null is null).

    A bag has a column for each of its values, `cat_<column>__1` and so on, 0 where it has fewer.

    Dense values stay raw: the model's input layer transforms and scales them.

    Args:
        rows: examples, or features joined with features and the context of a list.
        encoder: fitted by `fit_encoder`.

    Raises:
        LamplighterError: `rows` lacks input columns.
    """
    missing = sorted(set(encoder.columns) - set(rows.columns))
    if missing:
        raise LamplighterError(
            f"encoder: input columns {missing} are not among the rows' columns; build features with the "
            "configuration that the encoder was fitted with, or train again"
        )
    return [
        *(ids for encoding in encoder.categorical for ids in _categorical(encoding, rows)),
        *(F.col(d.column).cast("float").alias(f"dense_{d.column}") for d in encoder.dense),
    ]


def _categorical(encoding: CategoricalEncoding, rows: DataFrame) -> list[Column]:
    """Return the ids of a value, or of the first values of a bag."""
    value = _strings(encoding.column, encoding.split, rows)
    is_bag = encoding.split is not None or _is_array(encoding.column, rows)
    values = [F.get(value, F.lit(n)) for n in range(encoding.max_values)] if is_bag else [value]
    return [
        _id(each, encoding).cast("int").alias(name)
        for each, name in zip(values, encoding.id_columns, strict=True)
    ]


def _strings(column: str, separator: str | None, rows: DataFrame) -> Column:
    """Return a categorical column as a string, or as an array of strings."""
    if separator is not None:
        return bag(column, separator)
    return F.col(column).cast("array<string>" if _is_array(column, rows) else "string")


def _is_array(column: str, rows: DataFrame) -> bool:
    return isinstance(rows.schema[column].dataType, T.ArrayType)


def _id(value: Column, encoding: CategoricalEncoding) -> Column:
    """Return the id of one string: its place in the vocabulary, or its hash into [1, size)."""
    if encoding.kind == "hash":
        known = 1 + F.pmod(F.xxhash64(value), F.lit(encoding.size - 1))
        return F.when(value.isNotNull(), known).otherwise(0)
    if encoding.vocabulary:
        # One literal that Spark folds into an array: a call to the JVM for each value would be slow.
        vocabulary = F.from_json(F.lit(json.dumps(encoding.vocabulary)), "array<string>")
        return F.coalesce(F.array_position(vocabulary, value), F.lit(0))
    return F.lit(0)


def _to_summary(examples: DataFrame, inputs: Inputs) -> DataFrame:
    """Return the statistics of every input column, in the order of vocabulary ids.

    Grain: (column, value). A vocabulary's table has a row for each value that is kept, with its count in
    `rows`; a dense column has one row, of value null, with the sum and the sum of squares of its
    transformed, non-null values.
    """
    strings = [
        _strings(c.column, c.split, examples).alias(f"cat_{n}_{c.table_name}")
        for n, c in enumerate(inputs.categorical)
        if not c.hash_size
    ]
    numbers = [_transformed(d).alias(f"dense_{n}_{d.column}") for n, d in enumerate(inputs.dense)]
    most_frequent = Window.partitionBy("column").orderBy(F.col("rows").desc(), F.col("value").asc())
    is_frequent = F.col("value").isNull() | (F.col("rows") >= inputs.vocabulary_min_count)
    return (
        examples.select(*strings, *numbers)
        .mapInArrow(_summarised, _SUMMARY_SCHEMA)
        .groupBy("column", "value")
        .agg(*(F.sum(name).alias(name) for name in ("rows", "total", "squares")))
        .where(is_frequent)
        .withColumn("place", F.row_number().over(most_frequent))
        .where(F.col("place") <= inputs.vocabulary_max_size)
        .orderBy("column", "place")
    )


def _summarised(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Summarise Arrow batches one by one; a tenth of the time of as many Spark aggregates."""
    for batch in batches:
        rows: list[dict[str, str | int | float]] = []
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            kind, _, known_as = name.split("_", 2)
            if pa.types.is_list(column.type):
                column = column.flatten()  # noqa: PLW2901  # a bag counts by its values
            values = column.drop_null()
            if kind == "cat":
                counts = values.value_counts().to_pylist()
                rows += [{"column": known_as, "value": c["values"], "rows": c["counts"]} for c in counts]
            else:
                x = values.to_numpy()
                rows.append({"column": known_as, "rows": x.size, "total": x.sum(), "squares": x @ x})
        yield pa.RecordBatch.from_pylist(rows, schema=_SUMMARY_ARROW)


def _quantiles(
    examples: DataFrame, columns: Sequence[str], rows: int
) -> dict[str, tuple[tuple[float, ...], tuple[float, ...]]]:
    """Return column -> its quantiles, each value once, and the levels that they stand for.

    Exact over about _SAMPLED_ROWS rows that a hash of event_id picks, so that any run picks the same. A
    frequent value, such as 0 of counts, stands for the middle of the levels that it takes up.
    """
    if not columns:
        return {}
    one_in = max(1, rows // _SAMPLED_ROWS)
    sample = examples.where(F.pmod(F.xxhash64("event_id"), F.lit(one_in)) == 0)
    levels = [n / _QUANTILES for n in range(_QUANTILES + 1)]
    found = sample.select(*(F.percentile(_known(c), levels).alias(c) for c in columns)).first()
    curves = {}
    for column in columns:
        of_value: dict[float, list[float]] = {}
        for level, value in zip(levels, (found[column] if found else None) or [], strict=False):
            of_value.setdefault(_rounded(value), []).append(level)
        curves[column] = (
            tuple(of_value),
            tuple(_rounded((taken[0] + taken[-1]) / 2) for taken in of_value.values()),
        )
    return curves


def _transformed(dense: DenseInput) -> Column:
    """Return a value as the model's input layer sees it before scaling: log1p takes negatives for 0."""
    value = _known(dense.column)
    if dense.transform != "log1p":
        return value
    return F.when(value.isNotNull(), F.log1p(F.greatest(value, F.lit(0.0))))


def _known(column: str) -> Column:
    """Return a column as a double, null for NaN."""
    return F.nanvl(F.col(column).cast("double"), F.lit(None).cast("double"))


def _mean_and_std(rows: int, total: float, squares: float) -> tuple[float, float]:
    """Return mean and population standard deviation; 1 for a constant column, 0 and 1 for an empty one.

    To six significant digits: partial sums merge in any order, so the last bits of two runs differ.
    """
    if rows == 0:
        return 0.0, 1.0
    mean = total / rows
    variance = squares / rows - mean**2
    is_constant = variance <= 1e-12 * mean**2  # no more than the rounding of the difference
    return _rounded(mean), 1.0 if is_constant else _rounded(math.sqrt(variance))


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
