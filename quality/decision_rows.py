"""A decision as rows of `promotions` and `promotion_cells`."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from quality.promotion import CellResult, Decision

Row = dict[str, Any]


def decision_number(tonight: Sequence[Mapping[str, Any]], candidate: str) -> int:
    """Return the number of a candidate's decision: the same again, else the next one of the data date.

    Args:
        tonight: rows of `promotions` of the data date.
        candidate: its version.
    """
    own = [row["decision_no"] for row in tonight if row["candidate"] == candidate]
    return int(own[0]) if own else 1 + max((int(row["decision_no"]) for row in tonight), default=0)


def promotion_row(decision: Decision, data_date: date, number: int) -> Row:
    """Return the row of `promotions`."""
    return {
        "data_date": data_date,
        "decision_no": number,
        "candidate": decision.candidate,
        "champion_before": decision.champion_before,
        "champion_after": decision.champion_after,
        "served": decision.served,
        "promoted": decision.promoted,
        "reasons": list(decision.reasons),
        "warnings": list(decision.warnings),
    }


def cell_row(cell: CellResult, data_date: date, number: int) -> Row:
    """Return the row of `promotion_cells`; a cell without a gain has no interval either."""
    gain = cell.gain
    return {
        "data_date": data_date,
        "decision_no": number,
        "task": cell.task,
        "cohort": cell.cohort,
        "metric": cell.metric,
        "users": cell.users,
        "gain": None if gain is None else gain.value,
        "low": None if gain is None else gain.low,
        "high": None if gain is None else gain.high,
        "weight": cell.weight,
        "status": cell.status,
    }
