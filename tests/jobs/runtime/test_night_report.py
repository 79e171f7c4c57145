"""What the page of a night says of late rows, from the manifest of files."""

from datetime import date
from types import SimpleNamespace
from typing import Any, cast

from jobs.runtime.night_report import _late_rows, _unbuilt
from jobs.runtime.run import Run
from quality.report.model import RepairedDate

FIRST, FRIDAY, SATURDAY, SUNDAY = (date(2022, 5, day) for day in (5, 6, 7, 8))


def night(data_date: date, **tables: list[dict[str, Any]]) -> Run:
    """A run that reads these rows."""

    def rows(table: str, **key: Any) -> list[dict[str, Any]]:
        return [row for row in tables[table] if all(row[name] == value for name, value in key.items())]

    return cast(Run, SimpleNamespace(data_date=data_date, rows=rows))


def of_file(path: str, file_date: date, data_date: date, rows: int) -> dict[str, Any]:
    return {"path": path, "file_date": file_date, "data_date": data_date, "rows": rows}


def test_late_rows_are_those_of_earlier_dates_in_files_of_the_night() -> None:
    run = night(
        SUNDAY,
        source_file_dates=[
            of_file("a", SUNDAY, SUNDAY, 100),
            of_file("a", SUNDAY, SATURDAY, 3),
            of_file("b", SUNDAY, SATURDAY, 4),
            of_file("b", SUNDAY, FIRST, 1),  # three days late
            of_file("c", SATURDAY, FRIDAY, 9),  # the night before brought these
        ],
    )

    assert _late_rows(run) == [RepairedDate(FIRST, 1), RepairedDate(SATURDAY, 7)]


def test_late_rows_of_a_date_that_was_never_built_are_a_notice() -> None:
    run = night(SUNDAY, row_balance=[{"data_date": SATURDAY}])

    (notice,) = _unbuilt(run, [RepairedDate(FRIDAY, 2), RepairedDate(SATURDAY, 7)])

    assert notice == (
        "2 late rows are of 2022-05-06, a data date that was never built: no table holds them. `lamplighter "
        "history --data-date 2022-05-06` brings them in."
    )
