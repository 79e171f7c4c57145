"""A published list of one user: rows of `scores`, whatever was asked for."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from jobs.runtime.arguments import Arguments
from jobs.runtime.lists import list_of
from jobs.runtime.project import Project

DAY = date(2022, 5, 7)


@pytest.mark.parametrize(
    ("user", "items"),
    [("3", [5, 7, 8]), ("40", [9]), ("4", []), ("abc", []), ("", []), ("99999999999999999999", [])],
)
def test_what_is_no_id_has_no_list(tmp_path: Path, user: str, items: list[int]) -> None:
    project = Project(Arguments(DAY, DAY, settings=(f"paths.warehouse={tmp_path}",)))
    rows = {
        "user_id": [3, 3, 40, 3],
        "list": ["home", "home", "home", "friends"],
        "rank": [2, 1, 1, 1],
        "item_id": [8, 7, 9, 5],
        "data_date": [DAY] * 4,
    }
    write_deltalake(project.catalog.path("scores"), pa.table(rows), partition_by=["data_date"])

    assert [row["item_id"] for row in list_of(project, user, DAY)] == items
    assert list_of(project, user, date(2022, 5, 8)) == []
