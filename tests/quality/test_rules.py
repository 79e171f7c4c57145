from typing import Any

import pytest

from core.errors import ConfigError
from core.load import load_config
from core.schema import Expectation, Suite
from quality.rules import to_rules


def rule(type_: str, name: str | None = None, share: float = 0.0, **kwargs: Any) -> Expectation:
    return Expectation(type=type_, name=name, kwargs=kwargs, max_failing_share=share)


def test_a_rule_is_named_after_its_columns_and_type_and_described_in_words() -> None:
    suite = Suite(
        rules=(
            rule("expect_column_values_to_not_be_null", column="user_id"),
            rule("expect_column_values_to_be_in_set", column="is_click", value_set=[0, 1]),
            rule("expect_column_values_to_be_between", column="play_seconds", min_value=0),
            rule("expect_column_values_to_be_between", column="days_late", max_value=1, name="too_late"),
            rule("expect_column_values_to_be_between", column="p", min_value=0, max_value=1, strict_min=True),
            rule(
                "expect_column_pair_values_a_to_be_greater_than_b", column_A="a", column_B="b", or_equal=True
            ),
            rule("expect_column_mean_to_be_between", column="p", min_value=0.1, max_value=0.9),
            rule("expect_table_row_count_to_be_between", min_value=1),
            rule("expect_column_values_to_match_regex", column="s", regex="^x"),
        )
    )

    assert [(r.name, r.expected, r.is_of_rows) for r in to_rules("t", suite)] == [
        ("user_id_not_null", "not null", True),
        ("is_click_in_set", "in {0, 1}", True),
        ("play_seconds_between", "at least 0", True),
        ("too_late", "at most 1", True),
        ("p_between", "in (0, 1]", True),
        ("a_b_greater_than_b", "the first at least the second", True),
        ("p_mean_between", "mean in [0.1, 0.9]", False),
        ("table_row_count_between", "table row count at least 1", False),
        ("s_match_regex", "match regex regex ^x", True),
    ]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (rule("expect_column_values_to_not_be_nul", column="a"), "correct its spelling"),
        (rule("expect_column_values_to_be_between", colum="a"), "colum: extra fields not permitted"),
        (rule("expect_column_values_to_be_unique", column="a"), "keys are checked at each commit"),
        (rule("expect_column_values_to_not_be_null", column="a", mostly=0.9), "set max_failing_share"),
        (
            rule("expect_column_values_to_be_between", column="a", min_value=0, row_condition="b"),
            "derive a column",
        ),
        (rule("expect_column_mean_to_be_between", column="a", min_value=0, share=0.1), "no share of rows"),
    ],
)
def test_a_wrong_rule_is_an_error_with_file_and_key(wrong: Expectation, message: str) -> None:
    right = rule("expect_column_values_to_not_be_null", column="b")

    file = "conf/suites/shop/events.yaml"
    with pytest.raises(ConfigError, match=rf"^{file}: events\.\w+ \({wrong.type}\).*{message}"):
        to_rules("events", Suite(rules=(right, wrong.model_copy(update={"source": file}))))


def test_every_derived_suite_is_sound() -> None:
    for table, suite in load_config().suites.items():
        assert len(to_rules(table, suite)) == len(suite.rules)
