"""A commit that the ledger records and the table's log lacks is lost."""

from collections.abc import Mapping
from typing import Any, cast

import pytest

from jobs.runtime.lost import lost_commit
from jobs.tables.ledger import NewestRun
from jobs.tables.store import Store


class Logs:
    """A store of which only the commits are known: table -> version -> run id."""

    def __init__(self, commits: Mapping[str, Mapping[int, str]]) -> None:
        self._commits = commits

    def commits(self, table: str) -> Mapping[int, Mapping[str, Any]]:
        return {version: {"run_id": run} for version, run in self._commits.get(table, {}).items()}


def run(rows: int = 5, version: int = 3) -> NewestRun:
    return NewestRun("r1", "done", "", "", "", (), 1.0, {"outcomes": rows}, {"outcomes": version}, "")


@pytest.mark.parametrize(
    ("log", "found"),
    [
        ({2: "r0", 3: "r1"}, None),
        ({2: "r0", 3: "r1", 4: "r2"}, None),  # others have committed since
        ({7: "r5", 8: "r6"}, None),  # Delta has removed the old files
        ({2: "r0"}, "the commit of outcomes by run r1 is gone from the table's log"),
        ({2: "r0", 3: "r9"}, "the commit of outcomes by run r1 is gone from the table's log"),  # written anew
        ({}, "outcomes is gone"),
    ],
)
def test_a_commit_is_lost_unless_its_version_carries_the_run(log: dict[int, str], found: str | None) -> None:
    store = cast(Store, Logs({"outcomes": log}))

    assert lost_commit(store, ["outcomes"], run()) == found


def test_a_run_that_wrote_no_row_has_no_commit_to_lose() -> None:
    assert lost_commit(cast(Store, Logs({})), ["outcomes"], run(rows=0)) is None
