"""A decision as rows: its number, and what stands in them."""

from datetime import date
from typing import Any

import pytest

from quality.decision_rows import cell_row, decision_number, promotion_row
from quality.gains import Gain
from quality.promotion import CellResult, Decision

D = date(2022, 5, 8)
DECISION = Decision(
    candidate="mfh-1",
    champion_before="ple-1",
    champion_after="ple-1",
    promoted=False,
    reasons=("it does not beat group_mean",),
    champion_comparison=None,
    baselines=(),
    cells=(),
    warnings=("the best epoch is the last",),
)


def row(candidate: str, number: int) -> dict[str, Any]:
    return {"candidate": candidate, "decision_no": number}


@pytest.mark.parametrize(
    ("tonight", "number"),
    [
        ([], 1),
        ([row("ple-1", 1)], 2),
        ([row("b", 3), row("a", 1)], 4),  # in any order
        ([row("mfh-1", 1), row("ple-1", 2)], 1),  # decided again: the same number
    ],
)
def test_a_candidate_decided_again_keeps_its_number_and_another_takes_the_next(
    tonight: list[dict[str, Any]], number: int
) -> None:
    assert decision_number(tonight, "mfh-1") == number


def test_the_row_of_a_decision_says_who_serves_and_why() -> None:
    assert promotion_row(DECISION, D, 2) == {
        "data_date": D,
        "decision_no": 2,
        "candidate": "mfh-1",
        "champion_before": "ple-1",
        "champion_after": "ple-1",
        "served": "ple-1",
        "promoted": False,
        "reasons": ["it does not beat group_mean"],
        "warnings": ["the best epoch is the last"],
    }


@pytest.mark.parametrize(
    ("gain", "numbers"),
    [
        (Gain(0.02, 0.01, 0.03, 0.005, 3), {"gain": 0.02, "low": 0.01, "high": 0.03}),
        (Gain(0.0, -0.01, 0.01, 0.005, 3), {"gain": 0.0, "low": -0.01, "high": 0.01}),
        (None, {"gain": None, "low": None, "high": None}),  # too few users
    ],
)
def test_the_row_of_a_cell_holds_its_gain_if_it_has_one(
    gain: Gain | None, numbers: dict[str, float | None]
) -> None:
    cell = CellResult("like", "user:new", "auc", 40, "undecided", gain, 0.25)

    assert cell_row(cell, D, 2) == {
        "data_date": D, "decision_no": 2, "task": "like", "cohort": "user:new", "metric": "auc", "users": 40,
        "weight": 0.25, "status": "undecided",
    } | numbers  # fmt: skip
