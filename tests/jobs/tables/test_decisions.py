"""Who is the champion as of a data date follows from the decisions up to it."""

from datetime import date
from typing import Any, cast

import pytest

from jobs.tables.decisions import champion_as_of
from jobs.tables.store import Store


class Decisions:
    """A store of which only `promotions` is known."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows

    def rows(self, table: str) -> list[dict[str, Any]]:
        assert table == "promotions"
        return self._rows


def decision(
    day: int, number: int, candidate: str, promoted: bool, after: str | None = None
) -> dict[str, Any]:
    return {
        "data_date": date(2022, 5, day), "decision_no": number, "candidate": candidate, "promoted": promoted,
        "champion_after": after,
    }  # fmt: skip


PLE, MFH, OTHER = decision(7, 1, "ple", True), decision(8, 1, "mfh", False), decision(8, 2, "other", True)


@pytest.mark.parametrize(
    ("rows", "day", "champion"),
    [
        ([], 8, None),
        ([PLE], 6, None),  # a later decision
        ([PLE], 7, "ple"),
        ([PLE, MFH], 8, "ple"),
        ([OTHER, MFH, PLE], 8, "other"),  # in any order
        ([PLE, MFH, OTHER], 7, "ple"),
        # ple was decided anew and not promoted: what a later decision took it for does not count
        ([decision(7, 1, "ple", False), decision(7, 2, "mfh", False, after="ple")], 8, None),
    ],
)
def test_the_last_promoted_candidate_is_the_champion(
    rows: list[dict[str, Any]], day: int, champion: str | None
) -> None:
    assert champion_as_of(cast(Store, Decisions(rows)), date(2022, 5, day)) == champion


@pytest.mark.parametrize(("candidate", "champion"), [("mfh", "ple"), ("other", "ple"), ("unknown", "other")])
def test_a_candidate_meets_the_champion_before_its_own_decision(candidate: str, champion: str) -> None:
    store = cast(Store, Decisions([PLE, MFH, OTHER]))

    assert champion_as_of(store, date(2022, 5, 8), candidate) == champion
