"""What a rule is called, and what it asks for, in words."""

from typing import Any

import pytest

from core.rule_words import expected, rule_columns, rule_name
from core.schema import Expectation


@pytest.mark.parametrize(
    ("type_", "kwargs", "name", "words"),
    [
        ("expect_column_values_to_not_be_null", {"column": "tab"}, "tab_not_null", "not null"),
        ("expect_column_values_to_be_in_set", {"column": "a", "value_set": [0, 1]}, "a_in_set", "in {0, 1}"),
        (
            "expect_column_values_to_not_be_in_set",
            {"column": "a", "value_set": ["x"]},
            "a_not_in_set",
            "not in {x}",
        ),
        (
            "expect_column_values_to_be_between",
            {"column": "a", "min_value": 0, "max_value": 1},
            "a_between",
            "in [0, 1]",
        ),
        (
            "expect_column_values_to_be_between",
            {"column": "a", "min_value": 0, "strict_min": True},
            "a_between",
            "above 0",
        ),
        ("expect_column_values_to_be_between", {"column": "a", "max_value": 9}, "a_between", "at most 9"),
        (
            "expect_column_mean_to_be_between",
            {"column": "a", "min_value": 0, "max_value": 1, "strict_max": True},
            "a_mean_between",
            "mean in [0, 1)",
        ),
        (
            "expect_column_pair_values_a_to_be_greater_than_b",
            {"column_A": "a", "column_B": "b", "or_equal": True},
            "a_b_greater_than_b",
            "the first at least the second",
        ),
        (
            "expect_column_values_to_match_regex",
            {"column": "a", "regex": "^x"},
            "a_match_regex",
            "match regex regex ^x",
        ),
    ],
)
def test_a_rule_in_words(type_: str, kwargs: dict[str, Any], name: str, words: str) -> None:
    rule = Expectation(type=type_, kwargs=kwargs)

    assert rule_name(rule) == name
    assert expected(rule) == words


def test_a_configured_name_wins() -> None:
    rule = Expectation(type="expect_column_values_to_not_be_null", name="known", kwargs={"column": "a"})

    assert rule_name(rule) == "known"


def test_columns_are_named_in_any_of_the_ways_of_great_expectations() -> None:
    kinds = [{"column": "a"}, {"column_A": "a", "column_B": "b"}, {"column_list": ["a", "b"]}, {}]

    found = [rule_columns(Expectation(type="any", kwargs=kwargs)) for kwargs in kinds]

    assert found == [("a",), ("a", "b"), ("a", "b"), ()]
