"""No value stops an expression: what Spark can read keeps its value, and what it cannot is null."""

import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from core.errors import ConfigError
from core.expressions import columns_of
from features.expressions import readable

SCHEMA = """text string, other string, small int, big bigint, number double, money decimal(12,3),
    flag boolean, at timestamp, day date, huge decimal(38,0)"""
MOST, LEAST = 2**63 - 1, -(2**63)
NOON, DAY = datetime(2022, 5, 7, 12, 30), date(2022, 5, 7)
ROWS = [
    ("7", "3", 3, 7, 0.5, Decimal("1.500"), True, NOON, DAY, Decimal(12)),
    ("x", "", 0, 0, 0.0, Decimal(0), False, NOON, DAY, Decimal(0)),
    (None, None, None, None, None, None, None, None, None, None),
    ("1.5", "true", 2**31 - 1, MOST, 1e308, Decimal("999999999.999"), True, NOON, DAY, Decimal("9" * 38)),
    ("-1e3", "null", -(2**31), LEAST, float("nan"), Decimal("-999999999.999"), None, NOON, DAY, None),
    ("2022-05-07", "2022-05-07 12:00:00", 1, 4_102_444_799_999, float("inf"), None, False, NOON, DAY, None),
    ("9223372036854775808", " 12 ", -1, -1, float("-inf"), Decimal("0.001"), True, None, None, Decimal(-1)),
    ("12,5", "0", 2, 9_223_372_036_854_775, -0.0, Decimal(2), False, NOON, None, Decimal(7)),
    ("ü", "false", None, 10**15, 1e-320, Decimal(-1), True, datetime(1, 1, 1), date(1, 1, 1), Decimal(1)),
    ("0", "1", 5, 5, 5.0, Decimal(5), False, datetime(9999, 12, 31), date(9999, 12, 31), Decimal(5)),
]


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(ROWS, SCHEMA)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        # text is 7, x, null, 1.5, -1e3, a date, a number too large, 12,5, ü, 0
        ("text / 2", [3.5, None, None, 0.75, -500.0, None, 2**62, None, None, 0.0]),
        ("text + 1", [8, None, None, None, None, None, None, None, None, 1]),
        ("cast(text AS int)", [7, None, None, None, None, None, None, None, None, 0]),
        ("CASE WHEN text = 7 THEN 1 ELSE 0 END", [1, None, 0, None, None, None, None, None, None, 0]),
        ("coalesce(text, 5)", [7, None, 5, None, None, None, None, None, None, 0]),
        ("text IN (0, 7)", [True, None, None, None, None, None, None, None, None, True]),
        # small is 3, 0, null, 2**31 - 1, -2**31, 1, -1, 2, null, 5
        ("small IN (2, text)", [False, *[None] * 6, True, None, False]),
        ("small IN (text, 2)", [False, *[None] * 8, False]),
        ("coalesce(small + text, 0)", [10, None, 0, None, None, None, None, None, 0, 5]),
        ("small = 3 OR text = 1", [True, None, None, None, None, None, None, None, None, False]),
        ("greatest(big + 1, 3)",
         [8, 3, 3, None, 3, 4_102_444_800_000, 3, 9_223_372_036_854_776, 10**15 + 1, 6]),
        ("nullif(nullif(text, 7), 0) / 1", [None] * 10),
        ("CASE text WHEN if(small = 3, 7, 8) THEN 1 END", [1, *[None] * 9]),
        ("hour(from_utc_timestamp(timestamp_millis(big), 'Asia/Shanghai'))",
         [8, 8, None, None, None, 7, 7, None, 9, 8]),
        ("hour(from_utc_timestamp(text, 'Asia/Shanghai'))", [*[None] * 5, 8, *[None] * 4]),
        # as in SQL without ANSI: no failure, just null
        ("coalesce(7 / small, 0)", [7 / 3, 0, 0, 7 / (2**31 - 1), 7 / -(2**31), 7, -7, 3.5, 0, 1.4]),
        ("coalesce(split(text, ',')[1], 'none')", ["none"] * 7 + ["5", "none", "none"]),
        ("coalesce(try_cast(text AS int), 0)", [7, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_null(rows: DataFrame, text: str, values: list[object]) -> None:
    assert [row[0] for row in rows.select(readable(text, rows)).collect()] == values


def test_a_literal_that_is_no_such_value_is_a_configuration_error(rows: DataFrame) -> None:
    with pytest.raises(ConfigError, match=r"big <= 'three'. reads 'three' as bigint, which it is not"):
        readable("big <= 'three'", rows)


def test_types_that_do_not_fit_are_a_configuration_error(rows: DataFrame) -> None:
    with pytest.raises(
        ConfigError, match=r"'flag . 1' does not fit the types of its columns, struct<flag:boo"
    ):
        readable("flag = 1", rows)


# --- generated expressions ------------------------------------------------------------------------

LEAVES = {
    "number": [
        "small",
        "big",
        "number",
        "money",
        "huge",
        "1",
        "0",
        "-2",
        "1.5",
        "1e3",
        "9223372036854775807",
    ],
    "text": ["text", "other", "'7'", "'ab'", "''"],
    "boolean": ["flag"],
    "time": ["at", "timestamp_millis(big)", "timestamp_micros(abs(big))", "timestamp_seconds(number)"],
    "date": ["day", "date'2022-05-07'"],
}
CALLS = {  # a result and what it is made of
    "number": [
        *[f"({{number}} {operator} {{number}})" for operator in "+-*/%"],
        *[f"({{text}} {operator} {{number}})" for operator in "+-*/%"],
        *["(- {number})", "abs({number})", "floor({number})", "ceil({number})", "round({number}, -1)"],
        *["round({number}, 2)", "floor({number}, 1)", "abs({text})", "round({text}, 1)", "floor({text})"],
        *["cast({text} AS int)", "cast({number} AS int)", "cast({text} AS decimal(5,2))", "(- {text})"],
        *["cast({number} AS bigint)", "try_cast({text} AS double)", "length({text})", "hour({time})"],
        *["hour({text})", "dayofweek({text})", "dayofweek({date})", "cast({time} AS bigint)"],
        *["CASE WHEN {boolean} THEN {number} ELSE {number} END"],
        *["CASE {number} WHEN {number} THEN {text} END"],
        *["coalesce({text}, {number})", "coalesce({number}, {number})", "if({boolean}, {number}, {text})"],
        *["nullif({number}, {number})", "greatest({number}, {number})", "least({number}, {number})"],
        *["CASE WHEN {boolean} THEN {number} WHEN {boolean} THEN {text} END"],
    ],
    "text": [
        *["lower({text})", "upper({text})", "trim({text})", "concat({text}, {number})"],
        *["split({text}, ',')[0]"],
        *["split({text}, ',')[small]", "element_at(split({text}, ','), 2)", "cast({number} AS string)"],
        *["substring({text}, {number}, 2)", "substring({text}, {text})", "nullif({text}, {number})"],
        *["coalesce({text}, {text})", "CASE WHEN {boolean} THEN {text} ELSE {text} END"],
    ],
    "boolean": [
        *[f"({{number}} {operator} {{number}})" for operator in ("=", "<>", "<", ">=", "<=>")],
        *[f"({{text}} {operator} {{number}})" for operator in ("=", "<", "<=>")],
        *["({text} = {text})", "({text} < {time})", "({date} >= {text})", "({flag} = {text})"],
        *["({boolean} AND {boolean})", "({boolean} OR {boolean})", "(NOT {boolean})"],
        *["({text} AND {boolean})"],
        *["({number} BETWEEN {number} AND {number})", "({text} BETWEEN {number} AND {number})"],
        *["({number} IN ({number}, {text}))", "({text} IN ({number}, {number}))", "({number} IS NULL)"],
        *["({text} IS NOT NULL)", "({boolean} IS TRUE)", "({text} IS FALSE)", "({text} LIKE '1%')"],
    ],
    "time": [
        *["from_utc_timestamp({time}, 'Asia/Shanghai')", "from_utc_timestamp({text}, 'Asia/Shanghai')"],
        *["cast({text} AS timestamp)", "to_timestamp({text})", "to_timestamp({text}, 'yyyy-MM-dd')"],
        *["timestamp_millis(cast({number} AS bigint))", "timestamp_seconds({number})"],
        *["coalesce({text}, {time})"],
    ],
    "date": ["cast({text} AS date)", "to_date({text})", "to_date({text}, 'yyyy-MM-dd')", "to_date({time})"],
}  # fmt: skip


COMPARISONS = {  # as Spark defines what it may evaluate before what catches its errors
    "nullif": "CASE WHEN {0} = {1} THEN NULL ELSE {0} END",
    "BETWEEN": "({0} >= {1} AND {0} <= {2})",
}


class Written(NamedTuple):
    """An expression, and the same with the operators of COMPARISONS written out."""

    text: str
    in_comparisons: str


@st.composite
def expressions(draw: st.DrawFn, kind: str, depth: int = 3) -> Written:
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        leaf = draw(st.sampled_from(LEAVES[kind]))
        return Written(leaf, leaf)
    template = draw(st.sampled_from(CALLS[kind])).replace("{flag}", "flag")
    operands = [draw(expressions(needed, depth - 1)) for needed in re.findall(r"{(\w+)}", template)]
    written = re.sub(r"{\w+}", "{}", template)
    plain = next((COMPARISONS[name] for name in COMPARISONS if name in template), written)
    return Written(
        written.format(*(operand.text for operand in operands)),
        plain.format(*(operand.in_comparisons for operand in operands)),
    )


@pytest.fixture(scope="module")
def as_written(spark: SparkSession) -> Iterator[None]:
    """Spark evaluates what is written: no rule of the optimiser leaves out what would fail."""
    left_out = ["ConstantFolding", "NullPropagation", "BooleanSimplification", "SimplifyConditionals"]
    left_out += ["OptimizeIn", "SimplifyBinaryComparison", "PushFoldableIntoBranches", "NullDownPropagation"]
    left_out += ["ReplaceNullWithFalseInPredicate", "SimplifyCasts", "UnwrapCastInBinaryComparison"]
    left_out += ["ReorderAssociativeOperator", "ConstantPropagation", "RemoveRedundantAliases"]
    key = "spark.sql.optimizer.excludedRules"
    spark.conf.set("spark.sql.subexpressionElimination.enabled", "false")  # nothing leaves its TryEval
    spark.conf.set(key, ",".join(f"org.apache.spark.sql.catalyst.optimizer.{rule}" for rule in left_out))
    yield
    spark.conf.unset(key)
    spark.conf.unset("spark.sql.subexpressionElimination.enabled")


FAILED = "(Spark raises)"


def as_spark_reads(text: str, rows: DataFrame) -> list[str]:
    """The values of an expression as it is written, row by row; FAILED where Spark raises.

    Spark has an expression that catches what another one raises, and no SQL for it.
    """
    jvm = rows.sparkSession._jvm
    assert jvm is not None
    convert = jvm.org.apache.spark.sql.classic.ExpressionUtils
    boxed = convert.expression(F.array(F.expr(text).cast("string"))._jc)  # null is a value, [null] here
    caught = Column(convert.column(jvm.org.apache.spark.sql.catalyst.expressions.TryEval(boxed)))
    return [FAILED if row[0] is None else str(row[0][0]) for row in rows.select(caught).collect()]


@pytest.fixture(scope="module")
def discarded() -> Iterator[list[str]]:
    """Expressions that could not be compared; few, or the comparison shows nothing."""
    found: list[str] = []
    yield found
    assert len(found) <= MOST_DISCARDED * EXAMPLES, found


EXAMPLES, MOST_DISCARDED = 20, 0.05


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # to shrink takes minutes
    suppress_health_check=list(HealthCheck),
)
@given(written=st.sampled_from(list(CALLS)).flatmap(expressions))
def test_any_expression_reads_what_spark_reads_and_never_raises(
    rows: DataFrame, as_written: None, discarded: list[str], written: Written
) -> None:
    text = written.text
    columns_of(text, "allowed")
    try:
        rows.select(F.expr(text))
    except AnalysisException:
        with pytest.raises(ConfigError):
            readable(text, rows)
        assume(False)

    try:
        found = [str(row[0]) for row in rows.select(readable(text, rows).cast("string")).collect()]
    except ConfigError as error:
        assume("which it is not" not in str(error))  # a literal that no row could read
        raise

    try:
        expected = as_spark_reads(written.in_comparisons, rows)
    except PySparkException:
        discarded.append(text)
        assume(False)
    assert [f for f, e in zip(found, expected, strict=True) if e != FAILED] == [
        e for e in expected if e != FAILED
    ]
    if not any(
        sign in text for sign in ("/", "%", "[", "element_at", "try_cast")
    ):  # null there is no failure
        assert {f for f, e in zip(found, expected, strict=True) if e == FAILED} <= {"None"}
