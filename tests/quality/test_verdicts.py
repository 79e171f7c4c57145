import pytest

from quality.verdicts import Outcome, RuleResult, Verdict, percent


def result(
    rule: str,
    outcome: Outcome,
    failing: int | None,
    expected: str = "not null",
    column: str = "user_id",
    found: str | None = None,
    share: float = 0.0,
    rows: int = 81204,
    source: str = "source.events",
) -> RuleResult:
    return RuleResult(
        rule, column, expected, outcome, "critical", share, rows, failing, None, found, source=source
    )


def test_a_blocked_table_is_described_in_one_line_with_share_rule_rows_and_source() -> None:
    rate = result(
        "user_click_rate_7d_between",
        "failed",
        2517,
        expected="in [0, 1]",
        column="user_click_rate_7d",
        source="features.user.rates.click_rate",
    )
    verdict = Verdict("user_features", 81204, (result("user_id_not_null", "passed", 0), rate))

    assert not verdict.passed
    assert verdict.describe() == (
        "user_features blocked: 3.1 % of 81204 rows fail, 0 % allowed "
        "(user_click_rate_7d in [0, 1], 2517 rows; by features.user.rates.click_rate)"
    )


def test_the_worst_rules_come_first_and_the_others_are_counted() -> None:
    results = tuple(
        result(f"r{n}", "failed", n, column=f"c{n}", share=0.05) for n in (5000, 9000, 7000, 6000, 8000)
    )

    text = Verdict("events", 81204, results).describe()

    assert text == (
        "events blocked: 11.1 % of 81204 rows fail, 5 % allowed (c9000 not null, 9000 rows; "
        "c8000 not null, 8000 rows; c7000 not null, 7000 rows; and 2 more; by source.events)"
    )


def test_a_missing_column_is_named_instead_of_rows() -> None:
    lost = result("p_like_not_null", "failed", 40, column="p_like", found="column p_like is missing", rows=40)

    text = Verdict("scores", 40, (lost, result("user_id_not_null", "passed", 0, rows=40))).describe()

    assert text == (
        "scores blocked: 1 of 2 rules fail on 40 rows "
        "(p_like not null, column p_like is missing; by source.events)"
    )


def test_warnings_do_not_block_and_are_counted() -> None:
    passed = (result("b", "passed", 0), result("c", "passed", 0))
    verdict = Verdict("events", 100, (result("a", "warned", 3), *passed))

    assert verdict.passed
    assert verdict.describe() == "events passed: 3 rules on 100 rows, 1 with warnings"
    assert Verdict("events", 100, passed).describe() == "events passed: 2 rules on 100 rows"


def test_a_rule_on_the_table_as_a_whole_says_what_was_found_and_comes_after_rules_on_rows() -> None:
    of_whole = result(
        "mean", "failed", None, "mean in [0, 1]", column="", found="found 3.5", rows=100, source=""
    )
    of_rows = result("a", "failed", 1, rows=100)

    assert of_whole.failing_share is None
    assert Verdict("scores", 100, (of_whole,)).describe() == (
        "scores blocked: 1 of 1 rules fail on 100 rows (table mean in [0, 1], found 3.5)"
    )
    assert Verdict("scores", 100, (of_whole, of_rows)).failed == (of_rows, of_whole)


def test_three_failed_rules_are_named_and_none_is_counted() -> None:
    results = tuple(result(f"r{n}", "failed", n, column=f"c{n}", rows=100) for n in (3, 2, 1))

    assert Verdict("events", 100, results).describe() == (
        "events blocked: 3 % of 100 rows fail, 0 % allowed (c3 not null, 3 rows; c2 not null, 2 rows; "
        "c1 not null, 1 rows; by source.events)"
    )
    assert "; and 1 more; by" in Verdict("events", 100, (*results, results[0])).describe()


def test_a_source_is_named_once_and_rules_without_one_are_not() -> None:
    sources = ("source.events", "", "source.events")
    results = tuple(result(f"r{n}", "failed", 1, rows=100, source=each) for n, each in enumerate(sources))

    assert Verdict("events", 100, results).describe().endswith("; by source.events)")


def test_a_result_says_what_was_found_and_what_was_allowed() -> None:
    of_rows = result("a", "failed", 2517, expected="in [0, 1]", share=0.005)
    of_whole = result("b", "failed", None, expected="mean in [0, 1]", found="found 3.5")

    assert (of_rows.observed, of_rows.threshold) == (
        "2517 of 81204 rows fail (3.1 %)",
        "in [0, 1], 0.5 % may fail",
    )
    assert (of_whole.observed, of_whole.threshold) == ("found 3.5", "mean in [0, 1]")


def test_the_failing_share_of_no_rows_is_zero() -> None:
    assert result("a", "passed", 0, rows=0).failing_share == 0.0


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.031, "3.1 %"),
        (0.05, "5 %"),
        (1 / 228329, "0.0004 %"),
        (1 - 1 / 228329, "99.9996 %"),
        (0.00034, "0.03 %"),
        (0.000034, "0.003 %"),
        (1e-9, "under 0.0001 %"),
        (1 - 1e-9, "over 99.9999 %"),
    ],
)
def test_a_share_is_never_rounded_to_0_or_100_percent(share: float, text: str) -> None:
    assert percent(share) == text
