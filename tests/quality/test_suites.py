from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.load import load_config
from core.schema import Expectation, Suite
from quality.failing import failing_filters, with_failed_rules
from quality.suites import run_suite, run_suite_by_date
from quality.verdicts import Verdict

pytestmark = pytest.mark.spark

NOT_NULL = "expect_column_values_to_not_be_null"
BETWEEN = "expect_column_values_to_be_between"
IN_SET = "expect_column_values_to_be_in_set"


def rule(type_: str, severity: str = "critical", share: float = 0.0, **kwargs: Any) -> Expectation:
    return Expectation(type=type_, kwargs=kwargs, severity=severity, max_failing_share=share)


def outcomes(verdict: Verdict) -> dict[str, tuple[str, int | None]]:
    return {result.rule: (result.outcome, result.failing_rows) for result in verdict.results}


@pytest.fixture(scope="module")
def people(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(
        [("a", 1, 0.5), ("b", 2, None), ("c", None, 1.5), ("d", -4, 0.0)], "name string, n int, rate double"
    ).persist()


EVENTS = (
    "row string, user_id bigint, item_id bigint, event_time timestamp, days_late int, "
    "is_click tinyint, is_long_view tinyint, is_like tinyint, is_follow tinyint, "
    "play_seconds decimal(12,3), comment_seconds decimal(12,3)"
)
NOON = datetime(2022, 5, 7, 12)
ZERO = Decimal(0)


def test_each_rule_counts_the_rows_that_fail_it_and_nulls_fail_only_not_null(people: DataFrame) -> None:
    suite = Suite(
        rules=(
            rule(NOT_NULL, column="n"),
            rule(BETWEEN, column="n", min_value=0),
            rule(BETWEEN, column="rate", min_value=0, max_value=1),
            rule(IN_SET, column="name", value_set=["a", "b", "c", "d"]),
        )
    )

    verdict = run_suite(people, "people", suite)

    assert verdict.rows == 4
    assert not verdict.passed
    assert outcomes(verdict) == {
        "n_not_null": ("failed", 1),
        "n_between": ("failed", 1),
        "rate_between": ("failed", 1),
        "name_in_set": ("passed", 0),
    }


def test_up_to_the_allowed_share_and_for_a_warning_rule_rows_only_warn(people: DataFrame) -> None:
    suite = Suite(
        rules=(
            rule(NOT_NULL, column="n", share=0.25),
            rule(BETWEEN, column="n", min_value=0, share=0.24),
            rule(BETWEEN, column="rate", max_value=1, severity="warning"),
        )
    )

    verdict = run_suite(people, "people", suite)

    assert outcomes(verdict) == {
        "n_not_null": ("warned", 1),
        "n_between": ("failed", 1),
        "rate_between": ("warned", 1),
    }


def test_rules_on_pairs_of_columns_and_on_the_whole_table_are_judged_as_well(people: DataFrame) -> None:
    suite = Suite(
        rules=(
            rule("expect_column_pair_values_a_to_be_greater_than_b", column_A="n", column_B="rate"),
            rule("expect_table_row_count_to_be_between", min_value=1, max_value=3),
            rule("expect_column_max_to_be_between", column="rate", max_value=2),
        )
    )

    verdict = run_suite(people, "people", suite)

    assert [(r.rule, r.outcome, r.failing_rows, r.observed) for r in verdict.results] == [
        ("n_rate_greater_than_b", "failed", 1, "1 of 4 rows fail (25 %)"),
        ("table_row_count_between", "failed", None, "found 4"),
        ("rate_max_between", "passed", None, "found 1.5"),
    ]


def test_a_missing_column_is_a_failed_rule_that_says_so_even_if_it_only_warns(people: DataFrame) -> None:
    suite = Suite(rules=(rule(NOT_NULL, column="age", severity="warning"), rule(NOT_NULL, column="name")))

    verdict = run_suite(people, "people", suite)

    assert outcomes(verdict) == {"age_not_null": ("failed", 4), "name_not_null": ("passed", 0)}
    assert verdict.describe() == (
        "people blocked: 1 of 2 rules fail on 4 rows (age not null, column age is missing)"
    )


def test_a_rule_that_cannot_be_evaluated_fails_and_says_why(people: DataFrame) -> None:
    unordered = rule(
        "expect_column_pair_values_to_be_equal",
        column_A="n",
        column_B="rate",
        ignore_row_if="either_value_is_missing",
    )

    verdict = run_suite(people.where("n is null or rate is null"), "people", Suite(rules=(unordered,)))

    assert [(r.outcome, r.observed) for r in verdict.results] == [
        ("failed", "cannot be evaluated: its condition finds other rows than Great Expectations did")
    ]


def test_values_of_a_type_that_the_rule_does_not_expect_fail_it_without_a_stack_trace(
    people: DataFrame,
) -> None:
    verdict = run_suite(people, "people", Suite(rules=(rule(BETWEEN, column="name", min_value=0),)))

    assert not verdict.passed
    assert "cannot be evaluated: " in verdict.results[0].observed
    assert "\n" not in verdict.describe()


def test_a_table_without_rows_passes_every_rule_on_rows(people: DataFrame) -> None:
    suite = Suite(rules=(rule(NOT_NULL, column="n"), rule(BETWEEN, column="rate", min_value=0)))

    verdict = run_suite(people.limit(0), "people", suite)

    assert (verdict.rows, verdict.passed) == (0, True)
    assert outcomes(verdict) == {"n_not_null": ("passed", 0), "rate_between": ("passed", 0)}


def test_each_bad_event_has_all_rules_that_it_failed(spark: SparkSession) -> None:
    rows = [
        ("sound", 1, 10, NOON, 0, 1, 0, 0, 0, Decimal("3.5"), ZERO),
        ("a day late, as allowed", 1, 10, NOON, 1, 1, 0, 0, 0, Decimal("3.5"), ZERO),
        ("no user", None, 10, NOON, 0, 1, 0, 0, 0, Decimal("3.5"), ZERO),
        ("no item", 1, None, NOON, 0, 1, 0, 0, 0, Decimal("3.5"), ZERO),
        ("no time", 1, 10, None, None, 1, 0, 0, 0, Decimal("3.5"), ZERO),
        ("negative play time", 1, 10, NOON, 0, 1, 0, 0, 0, Decimal("-0.001"), ZERO),
        ("click of 2", 1, 10, NOON, 0, 2, 0, 0, 0, Decimal("3.5"), ZERO),
        ("unreadable like", 1, 10, NOON, 0, 1, 0, None, 0, Decimal("3.5"), ZERO),
        ("too late", 1, 10, NOON, 2, 1, 0, 0, 0, Decimal("3.5"), ZERO),
        ("after its file's date", 1, 10, NOON, -1, 1, 0, 0, 0, Decimal("3.5"), ZERO),
        ("all rules at once", None, 10, NOON, 9, 1, -1, 0, 0, None, ZERO),
    ]
    events = spark.createDataFrame(rows, EVENTS)

    verdict = run_suite(events, "events", load_config().suites["events"])
    judged = with_failed_rules(events, failing_filters(verdict))

    assert {row["row"]: row["failed_rules"] for row in judged.collect()} == {
        "sound": [],
        "a day late, as allowed": [],
        "no user": ["user_id_not_null"],
        "no item": ["item_id_not_null"],
        "no time": ["event_time_not_null"],
        "negative play time": ["play_seconds_between"],
        "click of 2": ["is_click_in_set"],
        "unreadable like": ["is_like_not_null"],
        "too late": ["too_late"],
        "after its file's date": ["after_its_file"],
        "all rules at once": ["user_id_not_null", "too_late", "is_long_view_in_set", "play_seconds_not_null"],
    }


def test_a_few_bad_events_only_warn_and_many_block(spark: SparkSession) -> None:
    sound = ("x", 1, 10, NOON, 0, 1, 0, 0, 0, Decimal("3.5"), ZERO)
    without_user = ("x", None, 10, NOON, 0, 1, 0, 0, 0, Decimal("3.5"), ZERO)
    suite = load_config().suites["events"]

    few = run_suite(spark.createDataFrame([sound] * 19 + [without_user], EVENTS), "events", suite)
    many = run_suite(spark.createDataFrame([sound] * 18 + [without_user] * 2, EVENTS), "events", suite)

    assert few.passed
    assert many.describe() == (
        "events blocked: 10 % of 20 rows fail, 5 % allowed "
        "(user_id not null, 2 rows; by source.events.columns.user_id)"
    )


def test_shares_are_those_of_each_data_date(spark: SparkSession) -> None:
    few, many = date(2022, 5, 6), date(2022, 5, 7)
    bad = {few: 1, many: 3}
    rows = [(day, None if number < bad[day] else number) for day in bad for number in range(20)]
    events = spark.createDataFrame(rows, "data_date date, n int")
    suite = Suite(rules=(rule(NOT_NULL, column="n", share=0.1),))

    found = run_suite_by_date(events, "events", suite)

    assert {day: (verdict.rows, verdict.passed) for day, verdict in found.items()} == {
        few: (20, True),
        many: (20, False),
    }
    assert run_suite(events, "events", suite).passed  # 10 % of all rows


def test_a_warning_rule_sends_nothing_to_quarantine(people: DataFrame) -> None:
    suite = Suite(rules=(rule(NOT_NULL, column="n", severity="warning"), rule(NOT_NULL, column="rate")))

    filters = failing_filters(run_suite(people, "people", suite))

    assert list(filters) == ["rate_not_null"]
    failed = with_failed_rules(people, filters).where(F.size("failed_rules") > 0)
    assert [(row["name"], row["failed_rules"]) for row in failed.collect()] == [("b", ["rate_not_null"])]


def test_without_rules_no_row_fails(people: DataFrame) -> None:
    judged = with_failed_rules(people, {})

    assert judged.schema["failed_rules"].dataType.simpleString() == "array<string>"
    assert [row["failed_rules"] for row in judged.collect()] == [[], [], [], []]


def test_scores_outside_their_bounds_are_blocked(spark: SparkSession) -> None:
    columns = (
        "user_id bigint, data_date date, list string, rank int, item_id bigint, p_click double, "
        "p_long_view double, p_like double, score double, placement_probability double, cohort string, "
        "model_version string"
    )
    day = date(2022, 5, 7)
    rows = [
        (1, day, "home", 1, 10, 0.4, 0.3, 0.01, 0.2, 1.0, "new", "ple-1"),
        (1, day, "away", 21, 11, 1.01, 0.3, float("nan"), 0.1, 1.5, "newish", "ple-1"),
    ]

    verdict = run_suite(spark.createDataFrame(rows, columns), "scores", load_config().suites["scores"])

    assert {result.rule for result in verdict.failed} == {
        "list_in_set",
        "rank_between",
        "p_click_between",
        "p_like_between",
        "placement_probability_between",
        "cohort_in_set",
    }


def test_nothing_is_left_in_the_working_folder(
    people: DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    run_suite(people, "people", Suite(rules=(rule(NOT_NULL, column="n"),)))

    assert list(tmp_path.iterdir()) == []
