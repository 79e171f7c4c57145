"""`lamplighter try`: what a changed feature or cohort rule would make, beside what is stored."""

from typing import Any

from core.load import DEFAULT_DATASET
from jobs.cli.sheets import sheet
from jobs.runtime.arguments import one_date
from jobs.runtime.command import (
    DataDate,
    Dataset,
    Env,
    ProjectFolder,
    Settings,
    arguments_for,
    exit_codes,
)
from jobs.runtime.logs import CONSOLE
from jobs.runtime.trying import Tried, TriedTable, try_change


def try_(
    data_date: DataDate,
    settings: Settings = [],  # noqa: B006  # typer reads the default, nobody writes to it
    dataset: Dataset = DEFAULT_DATASET,
    env: Env = "local",
    project: ProjectFolder = "",
) -> None:
    """Compute features and cohorts of a data date with changed settings, and print what would differ."""
    with exit_codes():
        day = one_date(data_date, "try")
        values = {"dataset": dataset, "env": env, "settings": settings, "project": project}
        print_tried(try_change(arguments_for(day, day, **values)), data_date)


def print_tried(tried: Tried, data_date: str) -> None:
    """Print each table: how many rows differ in which columns, some of them, and where cohorts move."""
    CONSOLE.print(f"{data_date}: {tried.why}; nothing is written", highlight=False)
    for table in tried.tables:
        CONSOLE.print(f"\n{_line(table)}", highlight=False)
        if table.transitions:
            moves = sheet("stored cohort", "tried", "rows")
            for stored, made, rows in table.transitions:
                moves.add_row(_text(stored), _text(made), f"{rows:,}")
            CONSOLE.print(moves)
        if table.rows:
            values = sheet("key", "column", "stored", "tried")
            for row in table.rows:
                key = next(iter(row.key.values()))
                for column, (stored, made) in row.values.items():
                    values.add_row(_text(key), column, _text(stored), _text(made))
            CONSOLE.print(values)


def _line(table: TriedTable) -> str:
    found = table.difference
    text = f"{found.table}: {found.rows:,} of {found.made:,} rows differ"
    columns = ", ".join(f"{name} in {count:,}" for name, count in found.columns.items())
    text += f" ({columns})" if columns else ""
    text += f"; {found.missing:,} stored rows are not made" if found.missing else ""
    return text + (f"; {found.surplus:,} rows are new" if found.surplus else "")


def _text(value: Any) -> str:
    return "null" if value is None else str(value)
