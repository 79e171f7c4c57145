"""`lamplighter try` prints what would differ: rows and columns, some rows, and where cohorts move."""

import pytest

from jobs.cli.trying import print_tried
from jobs.runtime.trying import Tried, TriedTable
from jobs.tables.compare import Difference, DifferingRow

MOVED = TriedTable(
    Difference("user_cohorts", 0, 0, {"cohort": 1200}, 1200, 5000),
    (DifferingRow({"user_id": 7, "data_date": "2022-05-07"}, {"cohort": ("new", None)}),),
    (("new", "low", 1200),),
)
SAME = TriedTable(Difference("item_cohorts", 0, 3, {}, 0, 90), ())


def test_a_trial_is_printed_table_by_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_tried(Tried("configuration: cohorts.user.version changed", (MOVED, SAME)), "2022-05-07")

    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line.strip()]

    assert lines[0] == "2022-05-07: configuration: cohorts.user.version changed; nothing is written"
    assert lines[1] == "user_cohorts: 1,200 of 5,000 rows differ (cohort in 1,200)"
    assert lines[-1] == "item_cohorts: 0 of 90 rows differ; 3 rows are new"
    text = "\n".join(lines)
    assert "stored cohort" in text
    assert "new low 1,200" in text.replace("│", "").replace("  ", " ")
    assert "null" in text
