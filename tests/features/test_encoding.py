import math
from decimal import Decimal

import pytest
from pyspark.sql import SparkSession

from core.encoder import CategoricalEncoding, DenseEncoding, Encoder, Entity
from core.errors import LamplighterError
from core.inputs import Inputs
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
SIDES: dict[str, Entity] = {
    "item_tag": "item",
    "tab": "context",
    "user_rare": "context",  # an event column whose name looks like a user's
    "item_id": "item",
    "user_is_never_seen": "user",
    "user_days": "context",
    "item_seconds": "item",
    "user_nothing": "user",
}
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

    encoder = fit_encoder(examples, INPUTS, SIDES)

    mean = math.log(4) / 3  # log1p of 0, 3 and of -5 taken for 0
    deviation = math.sqrt((2 * mean**2 + (math.log(4) - mean) ** 2) / 3)
    assert encoder == Encoder(
        categorical=(
            # a, b, c, d come twice each; three fit; e comes once
            CategoricalEncoding(
                column="item_tag", kind="vocabulary", size=4, dim=4, vocabulary=("a", "b", "c")
            ),
            CategoricalEncoding(column="tab", kind="vocabulary", size=4, dim=2, vocabulary=("10", "1", "3")),
            CategoricalEncoding(column="user_rare", side="context", kind="vocabulary", size=1, dim=2),
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
                side="context",
                transform="log1p",
                mean=float(f"{mean:.6g}"),
                std=float(f"{deviation:.6g}"),
            ),
            DenseEncoding(column="item_seconds", transform="identity", mean=0.3, std=1.0),  # constant
            DenseEncoding(column="user_nothing", transform="identity", mean=0.0, std=1.0),  # NaN is null
        ),
    )


def test_no_examples_make_an_encoder_without_vocabularies(spark: SparkSession) -> None:
    encoder = fit_encoder(spark.createDataFrame([], ROWS), INPUTS, SIDES)

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


BAGS = Inputs.model_validate(
    {
        "vocabulary_min_count": 2,
        "vocabulary_max_size": 9,
        "categorical": [
            {"column": "item_tags", "dim": 4, "split": "|", "max_values": 2, "table": "tag"},
            {"column": "user_tag", "dim": 4, "table": "tag"},
            {"column": "item_words", "dim": 2, "split": " ", "max_values": 3, "hash_size": 50},
        ],
        "dense": [],
    }
)
SIDES_OF_BAGS: dict[str, Entity] = {"item_tags": "item", "user_tag": "user", "item_words": "item"}
BAG_ROWS = "event_id string, item_tags string, user_tag string, item_words string"


def test_a_bag_counts_by_its_values_and_shares_the_vocabulary_of_its_table(spark: SparkSession) -> None:
    examples = spark.createDataFrame(
        [("1", "a|b", "b", "x y"), ("2", "b | c|", "c", ""), ("3", None, "d", None)], BAG_ROWS
    )

    encoder = fit_encoder(examples, BAGS, SIDES_OF_BAGS)

    of_tags, of_user, of_words = encoder.categorical
    assert of_tags.vocabulary == of_user.vocabulary == ("b", "c")  # b three times, c twice, over both columns
    assert (of_tags.size, of_user.size, of_words.size) == (3, 3, 50)
    assert (of_tags.table_name, of_user.table_name, of_words.table_name) == ("tag", "tag", "item_words")
    assert encoder.id_columns == (
        "cat_item_tags__1", "cat_item_tags__2",
        "cat_user_tag",
        "cat_item_words__1", "cat_item_words__2", "cat_item_words__3",
    )  # fmt: skip


def test_the_values_of_a_bag_have_an_id_each_and_lacking_ones_zero(spark: SparkSession) -> None:
    tags = {"size": 3, "dim": 4, "vocabulary": ("b", "c"), "kind": "vocabulary", "table": "tag"}
    encoder = Encoder(
        categorical=(
            CategoricalEncoding(column="item_tags", split="|", max_values=2, **tags),
            CategoricalEncoding(column="user_tag", **tags),
            CategoricalEncoding(column="item_words", kind="hash", size=50, dim=2, split=" ", max_values=2),
        ),
        dense=(),
    )
    rows = spark.createDataFrame(
        [
            ("1", "c| b|b", "b", "x y"),  # the third is left out
            ("2", "|new|c", "new", "y"),  # empty ones do not count, unknown ones do
            ("3", "", None, "  "),
            ("4", None, "", None),
        ],
        BAG_ROWS,
    )

    found = [
        tuple(row) for row in rows.select("event_id", *encoded(rows, encoder)).orderBy("event_id").collect()
    ]

    (x, y), (alone, _) = found[0][4:], found[1][4:]
    assert 1 <= x != y == alone >= 1
    assert found == [
        ("1", 2, 1, 1, x, y),
        ("2", 0, 2, 0, y, 0),
        ("3", 0, 0, 0, 0, 0),
        ("4", 0, 0, 0, 0, 0),
    ]


def test_an_array_is_a_bag(spark: SparkSession) -> None:
    inputs = Inputs.model_validate(
        {
            "vocabulary_min_count": 1,
            "vocabulary_max_size": 9,
            "categorical": [
                {"column": "user_tabs", "dim": 2, "max_values": 2, "table": "tab"},
                {"column": "user_last", "dim": 2, "table": "tab"},  # of several values the first
            ],
            "dense": [],
        }
    )
    rows = spark.createDataFrame(
        [("1", [7, 8, 9], [8]), ("2", [8], []), ("3", None, None)],
        "event_id string, user_tabs array<int>, user_last array<int>",
    )

    encoder = fit_encoder(rows, inputs, {"user_tabs": "user", "user_last": "user"})
    found = rows.select("event_id", *encoded(rows, encoder)).orderBy("event_id").collect()

    assert encoder.id_columns == ("cat_user_tabs__1", "cat_user_tabs__2", "cat_user_last")
    assert encoder.categorical[0].vocabulary == ("8", "7", "9")  # 8 three times, over both columns
    assert [tuple(row) for row in found] == [("1", 2, 1, 1), ("2", 1, 0, 0), ("3", 0, 0, 0)]


def test_quantiles_are_each_value_once_with_the_middle_of_the_levels_it_takes_up(spark: SparkSession) -> None:
    inputs = Inputs.model_validate(
        {
            "vocabulary_min_count": 1,
            "vocabulary_max_size": 1,
            "categorical": [],
            "dense": [
                {"column": "user_age", "transform": "quantile"},
                {"column": "user_none", "transform": "quantile"},
            ],
        }
    )
    # Half of all values are 0; the others are 1 .. 64.
    values = [0.0] * 65 + [float(n) for n in range(1, 65)] + [None, math.nan]
    examples = spark.createDataFrame(
        [(str(n), value, None) for n, value in enumerate(values)],
        "event_id string, user_age double, user_none double",
    )

    age, none = fit_encoder(examples, inputs, {"user_age": "user", "user_none": "user"}).dense

    assert age.quantiles == (0.0, *(float(n) for n in range(2, 65, 2)))
    assert age.levels[0] == 0.25  # levels 0 .. 0.5
    assert age.levels[1:] == tuple(round(0.5 + n / 64, 6) for n in range(1, 33))
    assert (age.mean, age.std) == (0.5, 0.288675)
    assert (none.quantiles, none.levels) == ((), ())


@pytest.mark.parametrize(
    ("categorical", "message"),
    [
        (
            [{"column": "item_tag", "dim": 4, "table": "t"}, {"column": "user_tag", "dim": 8, "table": "t"}],
            "item_tag and user_tag share table t, but their hash_size and dim are",
        ),
        (
            [{"column": "item_tag", "dim": 4}, {"column": "user_tag", "dim": 8, "table": "item_tag"}],
            "item_tag and user_tag share table item_tag",
        ),
    ],
)
def test_inputs_that_contradict_themselves_are_refused(
    categorical: list[dict[str, object]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Inputs.model_validate(
            {"vocabulary_min_count": 1, "vocabulary_max_size": 1, "categorical": categorical, "dense": []}
        )
