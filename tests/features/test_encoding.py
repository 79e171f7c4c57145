import math
from decimal import Decimal

import pytest
from pyspark.sql import SparkSession

from conf.encoder import CategoricalEncoding, DenseEncoding, Encoder
from conf.errors import LamplighterError
from conf.inputs import Inputs
from features.encoding import encoded, fit_encoder

INPUTS = Inputs.model_validate(
    {
        "vocabulary_min_count": 2,
        "vocabulary_max_size": 3,
        "categorical": [
            {"column": "item_tag", "dim": 4},
            {"column": "tab", "dim": 2},
            {"column": "user_rare", "dim": 2},
            {"column": "item_id", "hash_size": 50, "dim": 8},
        ],
        "dense": [
            {"column": "user_is_never_seen"},
            {"column": "user_days", "transform": "log1p"},
            {"column": "item_seconds"},
            {"column": "user_nothing"},
        ],
    }
)
ROWS = """item_tag string, tab int, user_rare string, item_id bigint, user_is_never_seen boolean,
    user_days int, item_seconds decimal(22,3), user_nothing double"""


def test_vocabularies_are_by_count_then_value_and_statistics_of_known_values(spark: SparkSession) -> None:
    third = Decimal("0.300")
    examples = spark.createDataFrame(
        [
            ("b", 3, "x", 1, True, 0, third, None),
            ("b", 3, "y", 2, True, 3, third, None),
            ("a", 10, None, 3, False, -5, third, math.nan),
            ("a", 10, None, 4, False, None, third, None),
            ("c", 1, None, 5, False, None, third, None),
            ("c", 2, None, 6, False, None, third, None),
            ("d", 1, None, 6, False, None, third, None),
            ("d", 10, None, 6, False, None, third, None),
            ("e", 10, None, 6, False, None, None, None),
        ],
        ROWS,
    )

    encoder = fit_encoder(examples, INPUTS)

    mean = math.log(4) / 3  # log1p of 0, 3 and of -5 taken for 0
    deviation = math.sqrt((2 * mean**2 + (math.log(4) - mean) ** 2) / 3)
    assert encoder == Encoder(
        categorical=(
            # a, b, c, d come twice each; three fit; e comes once
            CategoricalEncoding(
                column="item_tag", kind="vocabulary", size=4, dim=4, vocabulary=("a", "b", "c")
            ),
            CategoricalEncoding(column="tab", kind="vocabulary", size=4, dim=2, vocabulary=("10", "1", "3")),
            CategoricalEncoding(column="user_rare", kind="vocabulary", size=1, dim=2),
            CategoricalEncoding(column="item_id", kind="hash", size=50, dim=8),
        ),
        dense=(
            DenseEncoding(
                column="user_is_never_seen",
                transform="identity",
                mean=0.222222,
                std=float(f"{math.sqrt(14) / 9:.6g}"),
            ),
            DenseEncoding(
                column="user_days",
                transform="log1p",
                mean=float(f"{mean:.6g}"),
                std=float(f"{deviation:.6g}"),
            ),
            DenseEncoding(column="item_seconds", transform="identity", mean=0.3, std=1.0),  # constant
            DenseEncoding(column="user_nothing", transform="identity", mean=0.0, std=1.0),  # NaN is null
        ),
    )


def test_no_examples_make_an_encoder_that_knows_nothing(spark: SparkSession) -> None:
    encoder = fit_encoder(spark.createDataFrame([], ROWS), INPUTS)

    assert [c.size for c in encoder.categorical] == [1, 1, 1, 50]
    assert [(d.mean, d.std) for d in encoder.dense] == [(0.0, 1.0)] * 4


ENCODER = Encoder(
    categorical=(
        CategoricalEncoding(column="item_tag", kind="vocabulary", size=3, dim=4, vocabulary=("it's", "b")),
        CategoricalEncoding(column="tab", kind="vocabulary", size=3, dim=2, vocabulary=("10", "1")),
        CategoricalEncoding(column="user_rare", kind="vocabulary", size=1, dim=2),
        CategoricalEncoding(column="item_id", kind="hash", size=3, dim=2),
    ),
    dense=(
        DenseEncoding(column="user_is_never_seen", transform="identity", mean=9, std=9),
        DenseEncoding(column="item_seconds", transform="log1p", mean=9, std=9),
    ),
)


def test_a_known_value_has_its_place_any_other_zero_and_dense_values_stay_raw(spark: SparkSession) -> None:
    rows = spark.createDataFrame(
        [
            ("it's", 1, "x", 1, True, 0, Decimal("2.500"), 0.0),
            ("b", 10, "y", 2, False, 0, None, 0.0),
            ("B", 0, None, None, None, 0, Decimal("-1.000"), 0.0),
            (None, None, None, 1, True, 0, Decimal("0.000"), 0.0),
        ],
        ROWS,
    )

    found = rows.select(*encoded(rows, ENCODER))

    assert [f"{name} {data_type}" for name, data_type in found.dtypes] == [
        "cat_item_tag int", "cat_tab int", "cat_user_rare int", "cat_item_id int",
        "dense_user_is_never_seen float", "dense_item_seconds float",
    ]  # fmt: skip
    hashes = [row["cat_item_id"] for row in found.collect()]
    assert [tuple(row) for row in found.drop("cat_item_id").collect()] == [
        (1, 2, 0, 1.0, 2.5),
        (2, 1, 0, 0.0, None),
        (0, 0, 0, None, -1.0),
        (0, 0, 0, 1.0, 0.0),
    ]
    assert hashes == [hashes[0], hashes[1], 0, hashes[0]]
    assert set(hashes[:2]) <= {1, 2}


def test_hashes_reach_every_id_but_zero_and_never_beyond(spark: SparkSession) -> None:
    rows = spark.range(200).selectExpr("id AS item_id")
    encoder = Encoder(categorical=ENCODER.categorical[3:], dense=())

    assert {row[0] for row in rows.select(*encoded(rows, encoder)).distinct().collect()} == {1, 2}


def test_a_vocabulary_is_a_constant_of_the_plan(spark: SparkSession) -> None:
    rows = spark.createDataFrame([], ROWS)
    plan = rows.select(encoded(rows, ENCODER)[1])._jdf.queryExecution().optimizedPlan().toString()

    assert "array_position([10,1]" in plan


def test_rows_without_an_input_column_are_refused_by_name(spark: SparkSession) -> None:
    rows = spark.createDataFrame([], ROWS).drop("tab", "item_seconds")

    with pytest.raises(LamplighterError, match=r"input columns \['item_seconds', 'tab'\] are not among"):
        encoded(rows, ENCODER)
