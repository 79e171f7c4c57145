"""The encoder: fitted on training examples once, applied by one function wherever a model reads.

`pack` and `score` both select `encoded(...)`, so a value has one id, whoever asks.
"""

from typing import Any

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from conf.encoder import CategoricalEncoding, DenseEncoding, Encoder
from conf.errors import LamplighterError
from conf.schema import DenseInput, Inputs


def fit_encoder(examples: DataFrame, inputs: Inputs) -> Encoder:
    """Learn vocabularies and dense statistics from training examples, never from later ones.

    A vocabulary holds a column's values with at least `vocabulary_min_count` rows, most frequent first
    (ties by value), at most `vocabulary_max_size` of them.
    Cost: two jobs over the examples; what comes to the driver is bounded by the vocabularies' size.

    Args:
        examples: the training days only, grain event_id.
        inputs: the model's inputs.
    """
    vocabularies = _vocabularies(examples, inputs)
    statistics = _statistics(examples, inputs)
    return Encoder(
        categorical=tuple(
            CategoricalEncoding(column=c.column, kind="hash", size=c.hash_size, dim=c.dim)
            if c.hash_size
            else CategoricalEncoding(
                column=c.column,
                kind="vocabulary",
                size=1 + len(vocabularies[c.column]),
                dim=c.dim,
                vocabulary=tuple(vocabularies[c.column]),
            )
            for c in inputs.categorical
        ),
        dense=tuple(
            DenseEncoding(
                column=d.column,
                transform=d.transform,
                mean=_rounded(statistics[f"mean_{d.column}"]),
                std=_scale(statistics[f"mean_{d.column}"], statistics[f"std_{d.column}"]),
            )
            for d in inputs.dense
        ),
    )


def encoded(rows: DataFrame, encoder: Encoder) -> list[Column]:
    """Columns `cat_<column>` (int, 0 = missing or unseen) and `dense_<column>` (float, null stays null).

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
        *(_categorical(encoding) for encoding in encoder.categorical),
        *(F.col(d.column).cast("float").alias(f"dense_{d.column}") for d in encoder.dense),
    ]


def _categorical(encoding: CategoricalEncoding) -> Column:
    """The id of a value: its place in the vocabulary, or its hash into [1, size)."""
    value = F.col(encoding.column).cast("string")
    if encoding.kind == "hash":
        known = 1 + F.pmod(F.xxhash64(value), F.lit(encoding.size - 1))
        number = F.when(value.isNotNull(), known).otherwise(0)
    elif encoding.vocabulary:
        number = F.coalesce(F.array_position(F.lit(list(encoding.vocabulary)), value), F.lit(0))
    else:
        number = F.lit(0)
    return number.cast("int").alias(f"cat_{encoding.column}")


def _vocabularies(examples: DataFrame, inputs: Inputs) -> dict[str, list[str]]:
    """Values of each vocabulary column in the order of their ids; one shuffle for all columns."""
    columns = [c.column for c in inputs.categorical if c.hash_size is None]
    if not columns:
        return {}
    pairs = F.array(
        *(F.struct(F.lit(c).alias("column"), F.col(c).cast("string").alias("value")) for c in columns)
    )
    most_frequent = Window.partitionBy("column").orderBy(F.col("count").desc(), F.col("value").asc())
    ranked = (
        examples.select(F.explode(pairs).alias("pair"))
        .select("pair.column", "pair.value")
        .where(F.col("value").isNotNull())
        .groupBy("column", "value")
        .count()
        .where(F.col("count") >= inputs.vocabulary_min_count)
        .withColumn("place", F.row_number().over(most_frequent))
        .where(F.col("place") <= inputs.vocabulary_max_size)
    )
    vocabularies: dict[str, list[str]] = {column: [] for column in columns}
    for row in sorted(ranked.collect(), key=lambda row: (row["column"], row["place"])):
        vocabularies[row["column"]].append(row["value"])
    return vocabularies


def _statistics(examples: DataFrame, inputs: Inputs) -> dict[str, Any]:
    """mean_<column> and std_<column> (population) of transformed, non-null values; one aggregation."""
    if not inputs.dense:
        return {}
    moments = [
        moment
        for d in inputs.dense
        for moment in (
            F.avg(_transformed(d)).alias(f"mean_{d.column}"),
            F.stddev_pop(_transformed(d)).alias(f"std_{d.column}"),
        )
    ]
    return examples.agg(*moments).collect()[0].asDict()


def _transformed(dense: DenseInput) -> Column:
    """A value as the model's input layer sees it before scaling: log1p takes negatives for 0."""
    value = F.nanvl(F.col(dense.column).cast("double"), F.lit(None).cast("double"))
    if dense.transform == "identity":
        return value
    return F.when(value.isNotNull(), F.log1p(F.greatest(value, F.lit(0.0))))


def _scale(mean: float | None, std: float | None) -> float:
    """The standard deviation; 1 for a constant column, whose deviation is 0 up to rounding."""
    if mean is None or std is None or std <= 1e-9 * abs(mean):
        return 1.0
    return _rounded(std)


def _rounded(value: float | None) -> float:
    """Six significant digits: partial sums merge in any order, so the last bits of two runs differ."""
    return 0.0 if value is None else float(f"{value:.6g}")
