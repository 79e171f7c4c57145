"""What the demo prints: intervals with the digits that they have, or why there is no number."""

from typing import Any

import pytest

from jobs.cli.demo import interval_text

CELL: dict[str, Any] = {"value": 0.72134, "low": 0.71534, "high": 0.72834, "positives": 90, "negatives": 200}


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (None, "-"),
        (CELL, "0.721 [0.715, 0.728]"),
        (CELL | {"low": 0.60, "high": 0.84}, "0.7 [0.6, 0.8]"),  # wider: fewer digits are known
        (CELL | {"low": None, "high": None}, "0.7213"),  # no interval was taken
        (CELL | {"value": None}, "not enough positives"),
        (CELL | {"value": None, "positives": 200, "negatives": 90}, "not enough negatives"),
    ],
)
def test_a_number_has_the_digits_that_its_replicates_give(row: dict[str, Any] | None, text: str) -> None:
    assert interval_text(row, replicates=400) == text
