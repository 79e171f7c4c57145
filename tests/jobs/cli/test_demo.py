"""What the demo prints of a metric."""

from typing import Any

import pytest

from jobs.cli.demo import interval_text

ROW: dict[str, Any] = {"value": 0.7213, "low": 0.7146, "high": 0.7279, "positives": 900, "negatives": 2000}


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({}, "0.721 [0.715, 0.728]"),  # its ends are exact to .0004
        ({"low": 0.6, "high": 0.8}, "0.7 [0.6, 0.8]"),  # exact to .007
        ({"low": None, "high": None}, "0.7213"),  # a metric without an interval
        ({"value": None, "positives": 3, "negatives": 90}, "not enough positives"),
        ({"value": None, "positives": 90, "negatives": 3}, "not enough negatives"),
        ({"value": None, "positives": 3, "negatives": 3}, "not enough positives"),
    ],
)
def test_a_metric_has_the_digits_that_its_replicates_give_or_says_why_it_has_no_value(
    changed: dict[str, Any], text: str
) -> None:
    assert interval_text(ROW | changed, replicates=400) == text


def test_what_was_not_measured_is_a_dash() -> None:
    assert interval_text(None, replicates=400) == "-"
